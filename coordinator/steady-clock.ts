/**
 * The system's clock, as far as it runs forward. When it is put back, by an hour or a year, this one goes on evenly from where it was,
 * until the system's has passed it: a deadline is never put off, nothing that has expired becomes valid again, and the ledger's
 * times stay in order.
 *
 * @param wall - Unix ms
 * @param elapsed - ms since any moment; runs evenly
 * @param putBack - told how far, ms; once for each time
 */
export function steadyClock(
  wall: () => number,
  elapsed: () => number,
  putBack: (ms: number) => void = () => {},
): () => number {
  let time = wall();
  let seenAt = elapsed();
  let isAhead = false;
  return () => {
    const [now, at] = [wall(), elapsed()];
    const expected = time + at - seenAt;
    if (now < expected - NOTICED_MS && !isAhead) {
      isAhead = true;
      putBack(Math.round(expected - now));
    } else if (now >= expected) isAhead = false;
    time = Math.max(now, expected);
    seenAt = at;
    return Math.round(time);
  };
}

/** Two clocks that run well differ by less. */
const NOTICED_MS = 1000;

/** A clock that has nothing to say before `start`: the same one, or ahead of it for good by what it is behind now. */
export function startingAt(start: number, clock: () => number): () => number {
  const behind = Math.max(0, start - clock());
  return behind === 0 ? clock : () => clock() + behind;
}

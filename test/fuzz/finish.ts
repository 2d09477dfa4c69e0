import { begin, startParameters, takeIn } from '../../aggregation/progress.ts';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import { vectorFrom } from '../../aggregation/wire.ts';
import { contribution } from '../../client/contribution.ts';
import type { Conductor } from '../../coordinator/conductor.ts';
import { openCoordinator } from '../../coordinator/coordinator.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { encode } from '../../models/encode.ts';
import { trainingCustomers } from '../../models/encoded.ts';
import { secureRandom } from '../../privacy/random.ts';
import { FUZZED, HOSTILE } from './names.ts';
import { openTenant, type Played, silence, tableOf, untilOver } from './scenes.ts';
import { mustHold } from './target.ts';

/**
 * Whether a federation that was fuzzed still does what it is for: its coordinator is started again on the store that is left,
 * the four honest programs on theirs, and every task must end as one that nobody attacked does, with the right sums.
 *
 * @param now - Unix ms, where the clock of the coordinator stood
 * @returns how many sums were looked at
 * @throws Finding
 */
export async function finish(played: Played, folder: string, now: number): Promise<number> {
  const store = openSqliteStore(`${folder}/events.db`);
  const time = new Jumping(now);
  const onEvent = (): void => time.somethingHappened();
  const clock = time.now;
  const coordinator = await openCoordinator({ store, identity: played.identity, clock, version: 'fuzzed', onEvent });
  const honest = FUZZED.filter((name) => name !== HOSTILE);
  const tenants = honest.map((name) => openTenant({ ...played, name, folder }));
  try {
    const before = new Map(coordinator.tasks().map((task) => [task.id, [...store.sums(task.id, 0)].length]));
    for (const tenant of tenants) tenant.connect(coordinator);
    const running = coordinator.tasks();
    await untilOver(coordinator, () => running.every((task) => task.isOver));
    let sums = 0;
    for (const task of running) {
      const { state } = task;
      if (state.phase === 'stopped' && state.reason === 'stopped-by-operator') continue;
      mustHold(state.phase === 'finished', `after it was fuzzed a task of the honest ends: ${whyOf(task)}`);
      sums += await checkSums(played, task, [...store.sums(task.id, 0)], before.get(task.id)!);
    }
    mustHold(
      tenants.every(({ failures }) => failures.length === 0),
      'an honest program broke after the coordinator was fuzzed',
    );
    return sums;
  } finally {
    for (const tenant of tenants) tenant.close();
    coordinator.close();
  }
}

/**
 * A clock that goes on by an hour when nothing has happened for a while: whoever is gone, and is waited for, has then been
 * waited for long enough.
 */
class Jumping {
  readonly #began = performance.now();
  #ahead: number;
  #last = performance.now();

  constructor(now: number) {
    this.#ahead = now;
  }

  somethingHappened(): void {
    this.#last = performance.now();
  }

  now = (): number => {
    if (performance.now() - this.#last > IDLE_MS) {
      this.#ahead += 3_600_000;
      this.somethingHappened();
    }
    return Math.floor(this.#ahead + performance.now() - this.#began);
  };
}
const IDLE_MS = 2_000;

const whyOf = ({ state }: Conductor): string => (state.phase === 'stopped' ? state.reason : state.phase);

/** Sums that were opened here are those of the four, to the last bit: their noise is zero. */
async function checkSums(
  played: Played,
  { plan }: Conductor,
  sums: readonly { readonly sum: Uint8Array; readonly contributions: number }[],
  before: number,
): Promise<number> {
  let progress = begin(startParameters(plan.settings));
  let checked = 0;
  for (const [i, { sum, contributions }] of sums.entries()) {
    const opened = vectorFrom(sum, plan.derived.dimension);
    if (i >= before && contributions === FUZZED.length - 1) {
      const due = new Float64Array(opened.length);
      for (const name of FUZZED)
        if (name !== HOSTILE) for (const [at, value] of (await vectorOf(name)).entries()) due[at]! += value;
      mustHold(
        Buffer.compare(Buffer.from(due.buffer), Buffer.from(Float64Array.from(opened).buffer)) === 0,
        'a wrong sum was opened',
      );
      checked += 1;
    }
    progress = takeIn(plan, progress, opened);
  }
  return checked;

  async function vectorOf(name: TenantId): Promise<Float64Array> {
    const encoded = encode(plan.settings.features, tableOf(name));
    const customers = { encoded, pool: trainingCustomers(encoded) };
    const noise = await silence.draw(plan.derived.shareStdDev, plan.derived.dimension);
    const world = { backend: played.backend, random: secureRandom() };
    return contribution(plan, customers, progress.parameters, noise, world);
  }
}

/**
 * Who dies when. Everything that happens to one process is counted over all its lives: of the coordinator its writes, of a client
 * its writes and the frames it receives and sends.
 */
export interface Kill {
  /** 'coordinator', or a tenant */
  readonly who: string;
  /** what happens to it, in words; or what is of this kind (`kindOf`) */
  readonly at: string;
  /** the first time it happens, from 1, if not said otherwise */
  readonly nth?: number;
  readonly when: When;
}

/**
 * before   nothing of it is on disk; it has not left, or was not read
 * after    it is on disk, or has left, or was read; nobody was told
 * power    after, and what was not yet forced to the disk is gone
 */
export type When = 'before' | 'after' | 'power';

/** Something that happened. */
export interface Moment {
  readonly who: string;
  readonly what: string;
  readonly kind: string;
  /** of its kind, from 1 */
  readonly nth: number;
}

/** A death that was dealt. */
export interface Death extends Moment {
  readonly when: When;
}

export class Fate {
  readonly moments: Moment[] = [];
  readonly deaths: Death[] = [];
  readonly #kills: Kill[];
  readonly #counts = new Map<string, number>();
  #isLoose = false;

  constructor(kills: readonly Kill[]) {
    this.#kills = [...kills];
  }

  /** From now on it counts, or not any more. */
  letLoose(isLoose = true): void {
    this.#isLoose = isLoose;
  }

  /** Something is about to happen. @returns undefined while nothing counts */
  begins(who: string, what: string): Moment | undefined {
    if (!this.#isLoose) return undefined;
    const kind = kindOf(what);
    const nth = (this.#counts.get(`${who} ${kind}`) ?? 0) + 1;
    this.#counts.set(`${who} ${kind}`, nth);
    const moment = { who, what, kind, nth };
    this.moments.push(moment);
    return moment;
  }

  /** @returns how the process ends here, when it does; each kill once */
  strikes(moment: Moment | undefined, side: 'before' | 'after'): When | undefined {
    if (moment === undefined) return undefined;
    const isMeant = ({ who, at, nth = 1, when }: Kill): boolean =>
      who === moment.who &&
      (at === moment.kind ? nth === moment.nth : at === moment.what) &&
      (when === 'before') === (side === 'before');
    const index = this.#kills.findIndex(isMeant);
    if (index < 0) return undefined;
    const [{ when }] = this.#kills.splice(index, 1) as [Kill];
    this.deaths.push({ ...moment, when });
    return when;
  }
}

/** What happened, without names and numbers. */
export const kindOf = (what: string): string =>
  what.replace(/\b(ada|bob|cleo|dan)\b/g, 'somebody').replace(/\b\d+\/\d+\//g, '');

/** Thrown where a process in this process has ended: its callers may do what they like, it reaches nobody. */
export class Dead extends Error {
  override readonly name = 'Dead';
}

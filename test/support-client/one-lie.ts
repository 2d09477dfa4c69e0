import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Settings } from '../../aggregation/settings.ts';
import type { FromClient, FromCoordinator } from '../../aggregation/wire.ts';
import type { ClientEvent } from '../../client/participant.ts';
import type { Conductor } from '../../coordinator/conductor.ts';
import type { Backend } from '../../models/backend.ts';
import { NO_TASK } from '../../privacy/ledger.ts';
import { type LyingCoordinator, type LyingOptions, startLying, type Victim } from './lying-coordinator.ts';
import { toySettings } from './toy-task.ts';

export type Ask = Extract<FromCoordinator, { type: 'ask' }>;
export type Opened = Extract<FromCoordinator, { type: 'opened' }>;

/** Where the lie is told, and what. */
export interface OneLie {
  readonly backend: Backend;
  readonly settings?: Settings;
  readonly options?: Partial<LyingOptions>;
  /** the first message to the victim for which this holds is replaced; later ones arrive as they are */
  readonly instead: (message: FromCoordinator) => boolean;
  readonly lie: (message: never, scene: Scene) => readonly FromCoordinator[];
}

export interface Scene {
  readonly federation: LyingCoordinator;
  readonly conductor: Conductor;
  readonly victim: Victim;
}

/** What came of it. */
export interface Outcome extends Scene {
  /** what the victim said after it was lied to */
  readonly after: readonly FromClient[];
  /** how the victim took it: the first thing it declined, or why it left */
  readonly end: Extract<ClientEvent, { type: 'declined' | 'left' }>;
}

export const VICTIM = 'ada';

/** Runs a federation with one lie to one tenant. The caller gets what that tenant did, and closes nothing. */
export async function afterOneLie({ backend, settings, options, instead, lie }: OneLie): Promise<Outcome> {
  let told: number | undefined;
  let scene: Scene | undefined;
  const federation = await startLying({
    backend,
    ...options,
    lie: (to, message) => {
      if (to.name !== VICTIM || told !== undefined || !instead(message)) return options?.lie?.(to, message);
      told = to.said.length;
      return lie(message as never, { ...scene!, victim: to });
    },
  });
  try {
    const conductor = federation.run(settings ?? toySettings());
    scene = { federation, conductor, victim: federation.tenant(VICTIM) };
    const ended = () => federation.tenant(VICTIM).events.find((e) => e.type === 'declined' || e.type === 'left');
    await federation.until(
      () => told !== undefined && (ended() !== undefined || conductor.isOver),
      'an answer to the lie',
    );
    const victim = federation.tenant(VICTIM);
    await sleep(20); // a frame under way arrives: what was sent must be seen
    await victim.participant.idle();
    await sleep(5);
    const end = ended();
    if (end === undefined) throw new Error('the victim believed the lie');
    return { ...scene, victim, after: victim.said.slice(told), end: end as Outcome['end'] };
  } finally {
    federation.close();
  }
}

/** After the lie this tenant sent nothing but its refusal. */
export function expectRefused(outcome: Outcome, reason: RegExp): void {
  expect(outcome.end.reason).toMatch(reason);
  // the connection may be over before the word arrives; where its budget stands it says on connecting, whatever comes then
  const isOfNoTask = (said: FromClient): boolean =>
    said.type === 'cosign' || (said.type === 'standing' && said.task === NO_TASK);
  const more = outcome.after.filter((said) => said.type !== 'decline' && !isOfNoTask(said));
  expect(more).toEqual([]);
}

export const asks =
  (stage: string, round = 1) =>
  (message: FromCoordinator): boolean =>
    message.type === 'ask' && message.stage === stage && message.round === round;

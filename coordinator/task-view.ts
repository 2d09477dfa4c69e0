import { type Plan, roundsOf } from '../aggregation/plan.ts';
import { clusterShape, sumNoise } from '../aggregation/progress.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';
import { unitOf } from '../aggregation/settings.ts';
import { type Metrics, metricsFromHistogram } from '../models/evaluation.ts';
import { profile, type Segment } from '../models/profile.ts';
import { ACCOUNTED_DELTA_FRACTION, type Guarantees, guarantees, planEvent } from '../privacy/guarantee.ts';
import type { Conductor } from './conductor.ts';
import type { Counted } from './counting.ts';
import type { Decline } from './task.ts';
import type { Waiting } from './waiting.ts';

/** What anyone may know about a task: nothing in here is about one tenant's data. */
export interface TaskView {
  readonly id: string;
  readonly name: string;
  readonly kind: Plan['settings']['work']['kind'];
  readonly phase: 'proposed' | 'running' | 'finished' | 'stopped';
  /** why it ended early */
  readonly reason?: string;
  /** sums opened, of those needed */
  readonly steps: number;
  readonly rounds: number;
  /** openings charged to the ledger, failed ones included, of those the noise was calibrated for */
  readonly charges: number;
  readonly openings: number;
  readonly accepted: readonly TenantId[];
  readonly declined: Readonly<Record<TenantId, Decline>>;
  readonly connected: readonly TenantId[];
  /** what it waits for now, whom, and until when; left out when it waits for nothing */
  readonly waiting?: Waiting;
  /** of the tenants that have stated it: where the pool that pays stands */
  readonly budgets: Readonly<Record<TenantId, Omit<Counted, 'pool'>>>;
  readonly bytesUp: number;
  /** hash of the current parameters, of the released ones when finished */
  readonly model: string;
  readonly privacy: {
    readonly unit: string;
    readonly neighbouring: string;
    readonly delta: number;
    /** planned, all openings used */
    readonly epsilon: Guarantees;
    /** charged so far */
    readonly epsilonSoFar: Guarantees;
  };
}

/** What those see who use results, and have nothing to do with how they came to be. */
export type ReleasedTask = Omit<TaskView, 'accepted' | 'declined' | 'connected' | 'waiting' | 'budgets' | 'bytesUp'>;

export function releasedOf({
  accepted,
  declined,
  connected,
  waiting,
  budgets,
  bytesUp,
  ...released
}: TaskView): ReleasedTask {
  return released;
}

/** What a finished task has to say besides its model. */
export type TaskResult =
  | { readonly kind: 'segments'; readonly segments: readonly Segment[]; readonly tooSmall: number }
  | { readonly kind: 'metrics'; readonly metrics: Metrics };

export function viewOf(conductor: Conductor, present: ReadonlySet<TenantId>): TaskView {
  const { plan, state } = conductor;
  const { settings, derived, roster } = plan;
  const running = state.phase === 'running' ? state : undefined;
  const over = state.phase === 'finished' || state.phase === 'stopped' ? state : undefined;
  const charges = running?.charges ?? over?.charges ?? 0;
  return {
    id: conductor.id,
    name: settings.name,
    kind: settings.work.kind,
    phase: state.phase,
    ...(state.phase === 'stopped' ? { reason: state.reason } : {}),
    steps: conductor.progress.steps,
    rounds: roundsOf(plan),
    charges,
    openings: derived.openings,
    accepted: 'accepted' in state ? state.accepted : [],
    declined: 'declined' in state ? state.declined : {},
    connected: roster.map(({ tenant }) => tenant).filter((tenant) => present.has(tenant)),
    ...(conductor.waiting === undefined ? {} : { waiting: conductor.waiting }),
    budgets: Object.fromEntries(conductor.budgets),
    bytesUp: conductor.bytesUp,
    model: state.phase === 'stopped' ? '' : state.model,
    privacy: {
      unit: unitOf(settings),
      neighbouring: settings.privacy.neighbouring,
      delta: settings.privacy.delta,
      epsilon: derived.epsilon,
      epsilonSoFar: epsilonOf(plan, charges),
    },
  };
}

/** The three ε of this many openings of a plan. */
export function epsilonOf({ settings, derived }: Plan, charges: number): Guarantees {
  if (charges === 0) return { release: 0, coalition: 0, floor: 0 };
  const isLocal = settings.privacy.mode === 'record-local';
  const shape = { ...derived, ...settings.privacy, openings: charges };
  return guarantees({
    ...settings.secureSum,
    delta: settings.privacy.delta * ACCOUNTED_DELTA_FRACTION,
    eventFor: (shares) => planEvent({ ...shape, shares: isLocal ? 1 : shares }),
  });
}

/** The three, always together and in this order. */
export const inThree = ({ release, coalition, floor }: Guarantees): string =>
  [release, coalition, floor].map((epsilon) => epsilon.toFixed(3)).join(' · ');

/** What `inThree` shows. */
export const THREE = 'ε release · coalition · floor';

/** @returns undefined while the task is not finished, and for tasks whose model says it all */
export function resultOf(conductor: Conductor): TaskResult | undefined {
  const { plan, progress, state } = conductor;
  if (state.phase !== 'finished') return undefined;
  const noise = sumNoise(plan, conductor.lastContributions);
  switch (plan.settings.work.kind) {
    case 'train':
      return undefined;
    case 'segment':
      return { kind: 'segments', ...profile(progress.lastSum, noise, plan.settings.features, clusterShape(plan)) };
    case 'evaluate':
      return { kind: 'metrics', metrics: metricsFromHistogram(progress.lastSum, noise, 1) };
  }
}

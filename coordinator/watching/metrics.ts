import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import type { CoordinatorEvent } from '../coordinator-event.ts';
import type { EventStore } from '../store/event-store.ts';
import { type LabelledTask, roundMetrics } from './round-metrics.ts';
import { stateMetrics, type Watched } from './state-metrics.ts';
import { timedStore } from './timed-store.ts';

/**
 * What a coordinator tells Prometheus, in the order in which a coordinator is put together:
 *
 *   store ──timed──▶ coordinator ──events──▶ follow        watch: what is looked at when somebody asks ──▶ page
 *
 * Counters begin at 0 with the process, as Prometheus expects. Never a batch size, a norm or a loss: everything here is in the
 * ledger, in facts that readers of the federation may see, or of this machine alone.
 */
export interface Metrics {
  /** The same store, its commits timed. */
  timed(store: EventStore): EventStore;
  follow(event: CoordinatorEvent): void;
  turnedAway(reason: 'sockets' | 'too-often' | 'full'): void;
  /** An HTTP request was answered. */
  answered(status: number): void;
  /** Call once, before the first `page`. */
  watch(watched: Watched): void;
  readonly contentType: string;
  /** What Prometheus reads. */
  page(): Promise<string>;
}

/** @param clock - Unix milliseconds */
export function openMetrics(clock: () => number): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const commits = new Histogram({
    name: 'parley_store_commit_seconds',
    help: 'How long the coordinator waited for its store to have something on disk',
    buckets: [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers,
  });
  const answers = new Counter({
    name: 'parley_http_answers_total',
    help: 'HTTP requests answered, since the start',
    labelNames: ['status'],
    registers,
  });
  let taskOf = (_: string): LabelledTask | undefined => undefined;
  let look = async (): Promise<void> => {};
  const rounds = roundMetrics(registry, (id) => taskOf(id), clock);

  return {
    timed: (store) => timedStore(store, (seconds) => commits.observe(seconds)),
    follow: rounds.follow,
    turnedAway: rounds.turnedAway,
    answered: (status) => answers.inc({ status: String(status) }),
    watch(watched) {
      taskOf = (id) => {
        const conductor = watched.coordinator.task(id);
        return conductor && { name: conductor.plan.settings.name, stages: conductor.stages };
      };
      look = stateMetrics(registry, watched);
    },
    contentType: registry.contentType,
    async page() {
      await look();
      return registry.metrics();
    },
  };
}

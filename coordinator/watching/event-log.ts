import type { FastifyBaseLogger } from 'fastify';
import type { CoordinatorEvent } from '../coordinator-event.ts';

/**
 * What happens, for the log. A line about a task names it and its round, one about a tenant the tenant, under the same fields everywhere;
 * none holds more than readers of the federation may see.
 */
export function logEvent(log: FastifyBaseLogger, event: CoordinatorEvent): void {
  switch (event.type) {
    case 'tenant-connected':
    case 'tenant-left':
    case 'roster-changed':
      return log.info({ tenant: event.tenant }, event.type);
    case 'budget-differs': {
      const { tenant, pool, counted, stated } = event;
      return log.warn({ tenant, pool, counted, stated }, event.type);
    }
    case 'budget-raised':
      return log.warn(
        { tenant: event.tenant, pool: event.pool },
        `${event.type}: it takes part in no further task until that is approved, parley tenant raise ${event.tenant}`,
      );
    case 'refused-connection':
      return log.warn({ reason: event.reason }, event.type);
    case 'clock-behind':
      return log.warn(
        { ms: event.ms },
        `${event.type} the last ledger entry: time goes on from there. If this clock is wrong, set it`,
      );
    case 'task-failed':
      return log.error({ task: event.task, err: event.error }, event.type);
    case 'refused-message':
      return log.debug({ tenant: event.tenant, about: event.about, reason: event.reason }, event.type);
    case 'task-changed':
      return logFacts(log, event);
  }
}

/** What a task lives through: each fact for who looks closely, ends and failures for everybody. */
function logFacts(
  log: FastifyBaseLogger,
  { task, round, facts }: Extract<CoordinatorEvent, { type: 'task-changed' }>,
): void {
  for (const fact of facts) {
    const { type, ...about } = fact.type === 'in-round' ? fact.fact : fact;
    const { tenant, stage, attempt, reason, model } = about as Record<string, unknown>;
    const isNews = ['proposed', 'abandoned', 'finished', 'stopped'].includes(type);
    log[isNews ? 'info' : 'debug']({ task, round, tenant, stage, attempt, reason, model }, type);
  }
}

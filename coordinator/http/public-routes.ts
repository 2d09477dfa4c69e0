import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { fingerprint } from '../../aggregation/identity.ts';
import { hex } from '../../aggregation/plan.ts';
import { PROTOCOL } from '../../aggregation/wire.ts';
import { toLayersJson } from '../../models/artifact.ts';
import { isReader } from '../access/roles.ts';
import { artifactOf } from '../artifact-of.ts';
import type { Conductor } from '../conductor.ts';
import type { Coordinator } from '../coordinator.ts';
import { releasedOf, resultOf, viewOf } from '../task-view.ts';
import { ledgerRoutes } from './ledger-routes.ts';
import { sendProblem } from './problem.ts';

/**
 * What may be read: who is in the federation, what was planned, what it cost, what was released. Each route says by whom.
 * Response schemas are allow-lists: a field that is not declared is not sent.
 */
const taskParams = json(z.object({ task: z.string().regex(/^[0-9a-f]{64}$/) }));
const epsilon = z.object({ release: z.number(), coalition: z.number(), floor: z.number() });
/** one customer's lifetime ε in the pool that pays: by the ledger, and as the tenant itself says, which is what counts */
const budget = z.object({
  counted: z.union([z.number(), z.literal('infinite')]),
  stated: z.number(),
  limit: z.number(),
  delta: z.number(),
  agrees: z.boolean(),
});
/** what is waited for, as `coordinator/waiting.ts` says it */
const waiting = z.object({
  for: z.string(),
  round: z.number(),
  stage: z.string(),
  gate: z.string().optional(),
  answered: z.number(),
  asked: z.number(),
  fewest: z.number(),
  on: z.array(z.string()),
  until: z.number().optional(),
  leftMs: z.number().optional(),
});
const limit = z.object({ epsilon: z.number(), delta: z.number() });
const federationTenant = z.object({
  tenant: z.string(),
  fingerprint: z.string(),
  /** Unix ms */
  enrolledAt: z.number(),
  connected: z.boolean(),
  /** higher limits of its budget, lifetime ε and δ, that wait for approval */
  raises: z.array(z.object({ pool: z.string(), from: limit, to: limit })),
});
export type FederationTenant = z.infer<typeof federationTenant>;
const taskSchema = z.object({
  id: z.string(),
  name: z.string(),
  kind: z.string(),
  phase: z.string(),
  reason: z.string().optional(),
  steps: z.number(),
  rounds: z.number(),
  charges: z.number(),
  openings: z.number(),
  // what is about tenants: not for consumers
  accepted: z.array(z.string()).optional(),
  declined: z.record(z.string(), z.object({ cause: z.string(), reason: z.string() })).optional(),
  connected: z.array(z.string()).optional(),
  waiting: waiting.optional(),
  budgets: z.record(z.string(), budget).optional(),
  bytesUp: z.number().optional(),
  model: z.string(),
  privacy: z.object({
    unit: z.string(),
    neighbouring: z.string(),
    delta: z.number(),
    epsilon,
    epsilonSoFar: epsilon,
  }),
});

/** A zod schema as Fastify wants it. */
export function json(schema: z.ZodType): object {
  return z.toJSONSchema(schema, { target: 'draft-7', io: 'input' });
}

export function publicRoutes(app: FastifyInstance, coordinator: Coordinator, version: string): void {
  const find = (task: string): Conductor | undefined => coordinator.task(task);
  const ok = (schema: z.ZodType, summary: string) => ({ summary, response: { 200: json(schema) } });

  const federation = z.object({
    federation: z.string(),
    fingerprint: z.string(),
    key: z.string(),
    protocol: z.number(),
    /** these for those who are in it, and those who watch it: strangers need not know what is installed here */
    version: z.string().optional(),
    tenants: z.array(federationTenant).optional(),
  });
  app.get(
    '/federation',
    { config: { access: 'anyone' }, schema: ok(federation, 'Which federation it is, and who is in it') },
    ({ caller }) => ({
      federation: coordinator.federation,
      fingerprint: fingerprint(coordinator.publicKey),
      key: hex(coordinator.publicKey),
      protocol: PROTOCOL,
      ...(isReader(caller) ? { version, tenants: rosterOf(coordinator) } : {}),
    }),
  );

  app.get(
    '/tasks',
    { config: { access: 'released' }, schema: ok(z.array(taskSchema), 'All tasks; to consumers, what was released') },
    ({ caller }) => {
      const views = coordinator.tasks().map((conductor) => viewOf(conductor, coordinator.present()));
      return isReader(caller) ? views : views.filter(({ phase }) => phase === 'finished').map(releasedOf);
    },
  );
  app.get<{ Params: { task: string } }>(
    '/tasks/:task',
    { config: { access: 'readable' }, schema: { ...ok(taskSchema, 'One task'), params: taskParams } },
    (request, reply) => {
      const conductor = find(request.params.task);
      return conductor ? viewOf(conductor, coordinator.present()) : unknownTask(reply);
    },
  );
  app.get<{ Params: { task: string } }>(
    '/tasks/:task/plan',
    { config: { access: 'readable' }, schema: { summary: 'The signed plan', params: taskParams } },
    (request, reply) => {
      const conductor = find(request.params.task);
      return conductor ? { plan: conductor.plan, signature: hex(conductor.signature) } : unknownTask(reply);
    },
  );
  const rounds = z.array(z.object({ round: z.number(), contributions: z.number(), model: z.string() }));
  app.get<{ Params: { task: string } }>(
    '/tasks/:task/rounds',
    { config: { access: 'readable' }, schema: { ...ok(rounds, 'Sums opened so far'), params: taskParams } },
    (request, reply) => {
      const conductor = find(request.params.task);
      if (conductor === undefined) return unknownTask(reply);
      return Array.from(coordinator.store.sums(conductor.id, 0), ({ round, contributions, model }) => ({
        ...{ round, contributions, model },
      }));
    },
  );
  app.get<{ Params: { task: string } }>(
    '/tasks/:task/result',
    {
      config: { access: 'released' },
      schema: { summary: 'Segment profiles, or evaluation metrics, each with its ±', params: taskParams },
    },
    (request, reply) => {
      const conductor = find(request.params.task);
      const result = conductor && resultOf(conductor);
      return result ?? sendProblem(reply, 404, 'Not found', 'this task has no result of its own, or not yet');
    },
  );
  modelRoutes(app, find);
  app.get<{ Params: { hash: string } }>(
    '/parameters/:hash',
    {
      config: { access: 'released' },
      schema: {
        summary: 'Parameters that a ledger entry releases: float64, little-endian',
        params: json(z.object({ hash: z.string().regex(/^[0-9a-f]{64}$/) })),
      },
    },
    (request, reply) => {
      const { hash } = request.params;
      const isReleased = isReader(request.caller) || coordinator.tasks().some((task) => isResult(task, hash));
      const bytes = isReleased ? coordinator.store.parameters(hash) : undefined;
      if (bytes === undefined)
        return sendProblem(reply, 404, 'Not found', 'no parameters with this hash were released');
      return reply.type('application/octet-stream').send(Buffer.from(bytes));
    },
  );

  ledgerRoutes(app, coordinator);
}

const isResult = ({ state }: Conductor, hash: string): boolean => state.phase === 'finished' && state.model === hash;

function rosterOf({ store, present, raises }: Coordinator): FederationTenant[] {
  const waiting = raises();
  return store.roster().map(({ tenant, key, enrolledAt }) => ({
    tenant,
    fingerprint: fingerprint(Buffer.from(key, 'hex')),
    enrolledAt,
    connected: present().has(tenant),
    raises: waiting.filter((raise) => raise.tenant === tenant),
  }));
}

/** The released model in TensorFlow.js layers format: point `tf.loadLayersModel` at model.json. */
function modelRoutes(app: FastifyInstance, find: (task: string) => Conductor | undefined): void {
  app.get<{ Params: { task: string } }>(
    '/tasks/:task/model/model.json',
    { config: { access: 'released' }, schema: { summary: 'The released model', params: taskParams } },
    (request, reply) => {
      const artifact = artifactOf(find(request.params.task));
      return artifact
        ? toLayersJson(artifact).model
        : sendProblem(reply, 404, 'Not found', 'no model was released by this task');
    },
  );
  app.get<{ Params: { task: string } }>(
    '/tasks/:task/model/weights.bin',
    { config: { access: 'released' }, schema: { summary: 'Its weights', params: taskParams } },
    (request, reply) => {
      const artifact = artifactOf(find(request.params.task));
      if (artifact === undefined) return sendProblem(reply, 404, 'Not found', 'no model was released by this task');
      return reply.type('application/octet-stream').send(Buffer.from(toLayersJson(artifact).weights));
    },
  );
}

const unknownTask = (reply: Parameters<typeof sendProblem>[0]) => sendProblem(reply, 404, 'Not found', 'no such task');

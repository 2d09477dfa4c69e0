import { randomBytes } from 'node:crypto';
import { federationOf } from '../aggregation/federation.ts';
import { isSignedBy } from '../aggregation/identity.ts';
import { checkPlan, hex, type Plan, planDigest, planSchema, planText, poolOf, taskId } from '../aggregation/plan.ts';
import { startParameters } from '../aggregation/progress.ts';
import { digest } from '../aggregation/transcript.ts';
import { vectorFrom } from '../aggregation/wire.ts';
import { WireRefused } from '../aggregation/wire-check.ts';
import { encode } from '../models/encode.ts';
import { heldOutCustomers, trainingCustomers } from '../models/encoded.ts';
import { parameterHash } from '../models/model.ts';
import type { ClientStore } from './client-store.ts';
import type { Customers } from './contribution.ts';
import { Declined, declining } from './declined.ts';
import { isPinnedData, type Kept, withoutErased } from './erased.ts';
import type { ClientWorld } from './participant.ts';
import { contractOf, objection, type Policy } from './policy.ts';
import { beyond, setAside, wouldPay } from './spending.ts';
import { TaskSession } from './task-session.ts';

/**
 * Whether this tenant takes part in a task.
 *
 *   plan ─▶ signed by the coordinator? ─▶ for this tenant? derived as stated? within the policy? within the budget?
 *        ─▶ the customers of earlier tasks? the data it was accepted with? ─▶ accepted and set aside, durably
 *
 * A plan that was accepted before is asked all of it again, but for the budget: that was set aside then.
 *
 * @param parameters - what an evaluation starts from; empty for all others
 * @param coordinatorKey - 32 bytes, pinned
 * @throws Declined
 */
export async function admit(
  world: ClientWorld,
  plan: Plan,
  parameters: Uint8Array,
  coordinatorKey: Uint8Array,
): Promise<TaskSession> {
  const { policy, store } = world;
  const task = taskId(plan);
  checkIdentity(world, plan, coordinatorKey);
  const before = store.accepted(task);
  // a task that was accepted may have ended while this tenant was away: it still takes in what it missed
  if (before === undefined && store.endOf(task) !== undefined)
    throw new Declined('broken-promise', 'the ledger has ended this task');
  declining('policy', () => checkPlan(plan));
  const against = objection(policy, plan);
  if (against !== undefined) throw new Declined('policy', against);
  const start = startOf(plan, parameters);
  if (before === undefined) checkBudget(world, plan);
  checkContract(store, policy);
  const data = withoutErased(store, policy.schema, await world.snapshot());
  const customers = customersOf(plan, data);
  checkRows(store, policy, data);
  if (before !== undefined && !isPinnedData(store, before.data, data))
    throw new Declined('data', 'the data file is not the one this task was accepted with');
  if (before === undefined)
    store.commit(() => {
      store.pin('contract', contractOf(policy));
      if (policy.schema.customer === 'row' && store.pinned('rows') === undefined) store.pin('rows', data.hash);
      store.accept(task, { plan: planText(plan), data: data.hash });
      setAside(store, policy, plan, world.clock());
    });
  return new TaskSession(plan, start, customers, world);
}

/** @throws WireRefused when it is not a plan, or not the coordinator's */
export function readPlan(
  { plan: text, signature }: { readonly plan: string; readonly signature: Uint8Array },
  coordinatorKey: Uint8Array,
): Plan {
  if (!isSignedBy(coordinatorKey, planDigest(text), signature))
    throw new WireRefused('a plan without the signature of the coordinator');
  const parsed = planSchema.safeParse(parseJson(text));
  if (!parsed.success)
    throw new WireRefused(`not a plan this version understands: ${parsed.error.issues[0]?.path.join('.')}`);
  if (planText(parsed.data) !== text) throw new WireRefused('a plan that is not canonical JSON');
  return parsed.data;
}

/** Which data it takes part in an accepted task with, so that only this tenant can show it: a hash with a salt that stays here. */
export function datasetOf(store: ClientStore, task: string): string {
  const salt = store.pinned('salt') ?? randomBytes(32).toString('hex');
  store.pin('salt', salt);
  return hex(digest('parley/dataset/v1', salt, task, store.accepted(task)!.data));
}

function checkIdentity({ policy, identity }: ClientWorld, plan: Plan, coordinatorKey: Uint8Array): void {
  const mine = plan.roster.find(({ tenant }) => tenant === policy.tenant);
  if (mine === undefined || mine.key !== hex(identity.publicKey))
    throw new Declined('policy', 'the roster does not list this tenant with its key');
  if (plan.federation !== federationOf(coordinatorKey))
    throw new Declined('policy', 'the plan belongs to another federation');
}

function startOf(plan: Plan, bytes: Uint8Array): Float64Array {
  const { work } = plan.settings;
  if (work.kind !== 'evaluate' && bytes.length > 0)
    throw new Declined('policy', 'parameters were sent with a plan that says itself what it starts from');
  if (work.kind !== 'evaluate') return startParameters(plan.settings);
  const start = vectorFrom(bytes, bytes.length / 8);
  if (parameterHash(start) !== work.parameters)
    throw new Declined('policy', 'the parameters sent are not those of the plan');
  return start;
}

function checkBudget({ store, policy, clock }: ClientWorld, plan: Plan): void {
  const exceeded = wouldPay(store, policy, plan, clock()).counts.find(({ allowed }) => !allowed);
  if (exceeded !== undefined) throw new Declined('budget', `with this task ${beyond(exceeded)}`);
}

/** Who a customer is, and who is held out, stays what it was: or a customer would pay from two pools and be counted in one. */
function checkContract(store: ClientStore, policy: Policy): void {
  const pinned = store.pinned('contract');
  if (pinned !== undefined && pinned !== contractOf(policy))
    throw new Declined('policy', 'customers are told apart, or held out, by another rule than in earlier tasks');
}

/**
 * Where a row is a customer, a row that changes is another customer, and may be held out where it was trained on: what it
 * paid could not be followed. So the file stays the one of the first task, less who was erased; a customer column lifts this.
 */
function checkRows(store: ClientStore, policy: Policy, data: Omit<Kept, 'table'>): void {
  const pinned = store.pinned('rows');
  if (policy.schema.customer === 'row' && pinned !== undefined && !isPinnedData(store, pinned, data))
    throw new Declined('data', 'one row is one customer here, and the rows are not those of earlier tasks');
}

/** The data was checked against the contract before this client connected; a plan asks for part of it. */
function customersOf(plan: Plan, { table }: Kept): Customers {
  const encoded = encode(plan.settings.features, table);
  const pool = poolOf(plan) === 'held-out' ? heldOutCustomers(encoded) : trainingCustomers(encoded);
  return { encoded, pool };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new WireRefused('a plan that is not JSON');
  }
}

import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import { makePlan, type Plan, type Roster, shapeOf } from '../aggregation/plan.ts';
import { PlanRefused } from '../aggregation/plan-refused.ts';
import { sumNoise } from '../aggregation/progress.ts';
import { protocolNamed } from '../aggregation/protocols.ts';
import { type Settings, unitOf } from '../aggregation/settings.ts';
import { whoOpens } from '../aggregation/who-opens.ts';
import type { PendingView } from './http/outcome.ts';
import { get, type OperatorOptions, patiently, post } from './operator-http.ts';
import { isPending, pendingText } from './pending-answer.ts';
import { readSettings } from './settings-file.ts';
import { inThree, type ReleasedTask, type TaskView, THREE } from './task-view.ts';
import { tenantsOf } from './tenant-commands.ts';
import { waitingInWords } from './waiting.ts';

/*
 * What an operator types: `parley task check | start | status | stop`.
 */

export async function checkTask(file: string, options: Partial<OperatorOptions> & { tenants?: number }): Promise<void> {
  const settings = readSettings(file);
  if ((options.tenants === undefined) === (options.coordinator === undefined))
    throw new CommandError(EXIT.usage, 'give --tenants with a number, or --coordinator to take its roster');
  const roster =
    options.tenants === undefined
      ? await rosterOf({ ...options, coordinator: options.coordinator! })
      : imagined(options.tenants);
  const plan = planned(settings, roster);
  console.log(options.json ? JSON.stringify({ ...plan.derived, ...costs(plan) }) : describe(plan));
}

function planned(settings: Settings, roster: Roster): Plan {
  try {
    return makePlan(settings, roster, '0'.repeat(64), 0);
  } catch (error) {
    if (error instanceof PlanRefused) throw new CommandError(EXIT.refused, error.message);
    throw error;
  }
}

function costs(plan: Plan): { bits: { needed: number; available: number }; bytesPerRound: number; noiseOfSum: number } {
  const protocol = protocolNamed(plan.settings.secureSum.protocol);
  const { needed, available } = protocol.budget(shapeOf(plan));
  return {
    bits: { needed, available },
    bytesPerRound: protocol.bytesPerRound(shapeOf(plan)),
    noiseOfSum: sumNoise(plan),
  };
}

function describe(plan: Plan): string {
  const { derived, settings, roster } = plan;
  const { privacy, secureSum } = settings;
  const { bits, bytesPerRound, noiseOfSum } = costs(plan);
  const opens = whoOpens(shapeOf(plan), protocolNamed(secureSum.protocol).opening(shapeOf(plan)));
  const { release, coalition, floor } = derived.epsilon;
  return `${settings.name}: ${settings.work.kind}, ${roster.length} tenants, ${derived.dimension} coordinates (${derived.path} path)
  unit            one customer (${unitOf(settings) === 'row-as-customer' ? 'one row is one customer' : 'all its rows'}), ${privacy.neighbouring}, in ${privacy.tenantsPerCustomer} tenant
  ε at δ ${privacy.delta}     release ${release.toFixed(3)} · coalition ${coalition.toFixed(3)} · floor ${floor.toFixed(3)}
  noise           z = ${derived.noiseMultiplier.toFixed(4)}, share σ = ${derived.shareStdDev} grid steps, ${noiseOfSum.toFixed(3)} per coordinate of a sum
  openings        ${derived.openings} calibrated, spare ones included
  secure sum      ${secureSum.protocol}, ${opens}, cohort ≥ ${secureSum.minCohort}, withstands ${secureSum.colluders} colluders
  bit budget      ${bits.needed.toFixed(2)} of ${bits.available.toFixed(2)} bits
  bytes up        ${bytesPerRound} per tenant and round`;
}

/** Tenants that do not exist, to size a plan for. */
function imagined(tenants: number): Roster {
  return Array.from({ length: tenants }, (_, i) => ({
    tenant: `tenant-${String(i + 1).padStart(3, '0')}`,
    key: createHash('sha256').update(`imagined ${i}`).digest('hex'),
  }));
}

async function rosterOf(options: OperatorOptions): Promise<Roster> {
  const tenants = await tenantsOf(options);
  return tenants.map(({ tenant, fingerprint }) => ({
    tenant,
    key: createHash('sha256').update(fingerprint).digest('hex'),
  }));
}

export async function startTask(file: string, options: OperatorOptions & { watch?: boolean }): Promise<void> {
  const view = (await post('/tasks', readSettings(file), options)) as TaskView | PendingView;
  if (isPending(view)) return console.log(pendingText(view, options));
  if (options.watch) return watch(view.id, options);
  return console.log(
    options.json ? JSON.stringify(view) : `task ${view.id} proposed; parley task status ${view.id.slice(0, 8)} --watch`,
  );
}

export async function stopTask(id: string, options: OperatorOptions): Promise<void> {
  const view = (await post(`/tasks/${await fullId(id, options)}/stop`, {}, options)) as TaskView;
  console.log(options.json ? JSON.stringify(view) : line(view));
}

export async function taskStatus(
  id: string | undefined,
  options: OperatorOptions & { watch?: boolean },
): Promise<void> {
  if (id === undefined) {
    const views = (await get('/tasks', options)) as (TaskView | ReleasedTask)[];
    console.log(options.json ? JSON.stringify(views) : views.map(line).join('\n') || 'no tasks yet');
  } else if (options.watch) await watch(await fullId(id, options), options);
  else {
    const view = (await get(`/tasks/${await fullId(id, options)}`, options)) as TaskView;
    console.log(
      options.json
        ? JSON.stringify(view)
        : [line(view), ...waits(view), ...declines(view), ...budgets(view)].join('\n'),
    );
  }
}

async function watch(id: string, options: OperatorOptions): Promise<void> {
  const ask = patiently(options);
  for (let shown = ''; ; await sleep(250)) {
    const view = (await ask(`/tasks/${id}`)) as TaskView;
    const now = line(view);
    const isOver = view.phase === 'finished' || view.phase === 'stopped';
    if (!options.json && now !== shown) console.log(now);
    shown = now;
    if (!isOver) continue;
    if (options.json) console.log(JSON.stringify(view));
    else for (const declined of declines(view)) console.log(declined);
    if (view.phase === 'stopped') throw new CommandError(EXIT.refused, `the task was stopped: ${view.reason}`);
    return;
  }
}

function line(view: TaskView | ReleasedTask): string {
  const connected = 'connected' in view ? `  ${view.connected.length} connected` : '';
  return `${view.id.slice(0, 8)}  ${view.name.padEnd(18)} ${view.phase.padEnd(8)} ${view.steps}/${view.rounds} rounds  ${THREE} ${inThree(view.privacy.epsilonSoFar)} of ${inThree(view.privacy.epsilon)}, one ${view.privacy.unit} (${view.privacy.neighbouring})${connected}${view.reason === undefined ? '' : `  (${view.reason})`}`;
}

const waits = ({ waiting }: TaskView): string[] =>
  waiting === undefined ? [] : [`          ${waitingInWords(waiting)}`];

const declines = (view: TaskView): string[] =>
  Object.entries(view.declined).map(
    ([tenant, { cause, reason }]) => `          ${tenant} declined (${cause}): ${reason}`,
  );

/** What the tenant states, and, where that is something else, what the ledger gives. */
const budgets = (view: TaskView): string[] =>
  Object.entries(view.budgets).map(([tenant, { stated, limit, counted, agrees }]) => {
    const byLedger = counted === 'infinite' ? 'infinite' : counted.toFixed(3);
    const differs = agrees ? '' : `; by the ledger it is ${byLedger}: they do not agree`;
    return `          ${tenant} states ε ${stated.toFixed(3)} of ${limit} for its customers' lifetime${differs}`;
  });

async function fullId(id: string, options: OperatorOptions): Promise<string> {
  const views = (await get('/tasks', options)) as TaskView[];
  const found = views.filter((view) => view.id.startsWith(id));
  if (found.length === 1) return found[0]!.id;
  throw new CommandError(
    EXIT.usage,
    found.length === 0 ? `no task begins with ${id}` : `${found.length} tasks begin with ${id}; give more of it`,
  );
}

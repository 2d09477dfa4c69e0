import { type LineChart, lineCharts } from '../../aggregation/plot.ts';
import { ADVERSARIES } from '../../privacy/adversary.ts';
import { type PoolCharts, WHO } from './charts.ts';
import { COPIES, type Exposure, FALSE_POSITIVE_RATES } from './exposure.ts';
import { type ReportFigures, shortTask, type TaskFigures } from './figures.ts';
import { type Content, html, Markup } from './markup.ts';
import { openersOf } from './openers-of.ts';
import { dayOf } from './period.ts';
import type { PoolFigures } from './pools.ts';
import { epsilonText, ofHundred, short } from './rounded.ts';
import { poolName, UNITS } from './sentence.ts';

/** What was spent: by task, one customer's total by pool, and what an attacker gains from it. */
export function costs({ tasks, pools, period }: ReportFigures, charts: readonly PoolCharts[]): Markup {
  const span = period.name === 'all' ? 'the whole ledger' : period.name;
  return html`<section>
<h2>2. What each task cost</h2>
<p>ε bounds what anyone can learn about one customer: smaller is safer, 0 is nothing. It is stated for one customer added or removed, against three attackers. “Coalition” is the one that plans promise. For a customer of several business units it is larger.</p>
${tasks.length === 0 ? html`<p>No task has an entry in this period.</p>` : tasks.map(task)}
</section>
<section>
<h2 class="new-page">3. One customer’s total, over all tasks</h2>
<p>Composed over every task and model that used the customer, never added up. It is an upper bound for a customer of units that took part in all of them. “Tight” is proven for tasks that were fixed before the first of them was opened; “filter” is how budgets count, so that later tasks may be chosen in view of earlier results. A period counts every opening that its results rest on, earlier ones of the same tasks too. What was spent stays spent: the total over the whole ledger never expires.</p>
${pools.length === 0 ? html`<p>The ledger holds no plan.</p>` : pools.map((pool, i) => total(pool, span, charts[i]?.epsilon))}
</section>
<section>
<h2>4. What an attacker gains</h2>
<p>The attacker knows everything but whether one customer was used, and wrongly suspects the given part of those who were not. Shown is how many of those who were used it finds at most; blind guessing finds as many as it wrongly suspects. μ is the Gaussian mechanism that is as bad (Dong, Roth and Su 2022).</p>
${pools.map((pool, i) => attack(pool, span, charts[i]?.attack))}
</section>`;
}

function task({ task: id, plan, end, accepted, chargesInPeriod, releases, planned, charged }: TaskFigures): Markup {
  const { use, trust, roster, mechanism } = plan;
  const rows: readonly (readonly [string, Content])[] = [
    ['Task', html`<code>${id}</code>, planned on ${dayOf(plan.time)}`],
    ['State', stateOf(end)],
    ['Purpose', `${use.purpose}${use.legalBasis === undefined ? '' : `; legal basis: ${use.legalBasis}`}`],
    [
      'Result may be used',
      use.retentionDays === undefined ? 'the plan does not say how long' : `for ${use.retentionDays} days`,
    ],
    [
      'Protected',
      `one customer added or removed (${UNITS[plan.unit]}), a customer of ${plan.tenantsPerCustomer === 1 ? 'one unit' : `at most ${plan.tenantsPerCustomer} units`}; ${poolName(plan)}`,
    ],
    ['δ', short(plan.delta)],
    ['Noise', `${trust.mode}, multiplier ${short(mechanism.noiseMultiplier)}, ${mechanism.dimension} coordinates`],
    [
      'Secure sum',
      `${trust.secureSum}: ${openersOf(plan)} units open, at least ${trust.minCohort} in each sum, ${trust.colluders} may collude`,
    ],
    ['Took part', `${accepted.length} of ${roster.length}: ${accepted.join(', ') || 'nobody'}`],
    [
      'Openings',
      `${charged.openings} used of ${planned.openings} planned (rounds: ${mechanism.rounds}), ${chargesInPeriod} in the period; ${releases} became a model`,
    ],
  ];
  return html`<h3>Task ${shortTask(id)}, for ${use.purpose}</h3>
<table><caption>What was planned and done</caption><tbody>${rows.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}</tbody></table>
<table>
<caption>ε at δ = ${short(plan.delta)}, one customer added or removed; a customer of 1, 2 and 3 units</caption>
<thead><tr><th rowspan="2" scope="col">Against</th>${['if all is used as planned', 'as used so far'].map((name) => html`<th colspan="3" scope="colgroup">${name}</th>`)}</tr>
<tr>${[planned, charged].map(() => COPIES.map((copies) => html`<th scope="col">${copies}</th>`))}</tr></thead>
<tbody>${ADVERSARIES.map((against) => html`<tr><th scope="row">${against}: ${WHO[against]}</th>${[planned, charged].map(({ byCopies }) => byCopies[against].map(epsilonCell))}</tr>`)}</tbody>
</table>`;
}

function stateOf(end: TaskFigures['end']): Content {
  if (end === undefined) return 'running when the ledger ends';
  if (end.kind === 'stop') return `stopped on ${dayOf(end.at)}: ${end.reason.replaceAll('-', ' ')}`;
  return html`finished on ${dayOf(end.at)}, result <code>${end.modelHash}</code>`;
}

function total(pool: PoolFigures, span: string, chart: LineChart | undefined): Markup {
  const { inPeriod, overLife, planned, delta, order, limits } = pool;
  const scopes = [inPeriod, overLife];
  return html`<h3>${capital(poolName(pool))}</h3>
<table>
<caption>ε of everything at δ = ${short(delta)}, one customer added or removed; a customer of 1, 2 and 3 units</caption>
<thead><tr><th rowspan="2" scope="col">Against</th><th colspan="3" scope="colgroup">${span}: ${openings(inPeriod)}</th><th colspan="3" scope="colgroup">whole ledger: ${openings(overLife)}</th><th rowspan="2" scope="col">if all planned were used: ${openings(planned)}, as stated</th></tr>
<tr>${scopes.map(() => COPIES.map((copies) => html`<th scope="col">${copies}</th>`))}</tr></thead>
<tbody>
${ADVERSARIES.map((against) => html`<tr><th scope="row">tight, ${against}</th>${scopes.map(({ byCopies }) => byCopies[against].map(epsilonCell))}${epsilonCell(planned.stated[against])}</tr>`)}
<tr><th scope="row">filter (Rényi order ${short(order)}), coalition, as stated</th>${scopes.map(({ filter }) => html`<td class="number" colspan="3">${epsilonText(filter)}</td>`)}${epsilonCell(planned.filter)}</tr>
</tbody>
</table>
${limits.length === 0 ? '' : limitTable(limits)}
${chart === undefined ? '' : figure(chart, 'How ε grew with every opened sum, against three attackers. The figures at its end are in the table above.')}`;
}

const limitTable = (limits: PoolFigures['limits']): Markup => html`<table>
<caption>Against the newest limits that units told the federation</caption>
<thead><tr><th scope="col">Unit</th><th scope="col">Limit ε</th><th scope="col">δ</th><th scope="col">Counted over the whole ledger</th></tr></thead>
<tbody>${limits.map(({ tenant, epsilon, delta, counted }) => html`<tr><th scope="row">${tenant}</th><td class="number">${short(epsilon)}</td><td class="number">${short(delta)}</td>${epsilonCell(counted)}</tr>`)}</tbody>
</table>`;

function attack(pool: PoolFigures, span: string, chart: LineChart | undefined): Markup {
  const scopes = [pool.inPeriod, pool.overLife];
  const cells = (gains: Exposure['filterAttack']): Content =>
    gains.map(
      ({ truePositiveRate, mu }) =>
        html`<td class="number">${ofHundred(truePositiveRate)} %</td><td class="number">${mu < 0.0005 ? '0.000' : epsilonText(mu)}</td>`,
    );
  const rates = FALSE_POSITIVE_RATES.map(
    (rate) => html`<th scope="col">found at ${ofHundred(rate)} % wrong</th><th scope="col">μ</th>`,
  );
  return html`<h3>${capital(poolName(pool))}</h3>
<table>
<caption>The best attack there can be, each task for as many units as it states</caption>
<thead><tr><th rowspan="2" scope="col">Against</th><th colspan="4" scope="colgroup">${span}</th><th colspan="4" scope="colgroup">whole ledger</th></tr>
<tr>${scopes.map(() => rates)}</tr></thead>
<tbody>
${ADVERSARIES.map((against) => html`<tr><th scope="row">tight, ${against}</th>${scopes.map((scope) => cells(scope.attack[against]))}</tr>`)}
<tr><th scope="row">filter, coalition</th>${scopes.map(({ filterAttack }) => cells(filterAttack))}</tr>
</tbody>
</table>
${chart === undefined ? '' : figure(chart, 'How many of those who were used the best attacker finds, for every part of the others it wrongly suspects, over the whole ledger.')}`;
}

const epsilonCell = (epsilon: number): Markup => html`<td class="number">${epsilonText(epsilon)}</td>`;

const openings = ({ openings: count, tasks }: Exposure): string =>
  `${count} ${count === 1 ? 'opening' : 'openings'} of ${tasks} ${tasks === 1 ? 'task' : 'tasks'}`;

const capital = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1);

/** Inside of a page a picture needs no declaration of its own. */
const figure = (chart: LineChart, description: string): Markup =>
  html`<figure>${new Markup(lineCharts([chart], description).replace(/^<\?xml[^>]*>\n/, ''))}</figure>`;

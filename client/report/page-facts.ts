import type { AuditFinding } from './audit-finding.ts';
import { shortTask } from './figures.ts';
import { html, type Markup } from './markup.ts';
import { dayOf } from './period.ts';
import type { Report } from './report.ts';
import { short } from './rounded.ts';
import type { Statement } from './statements.ts';

/** What the figures rest on, what went otherwise, and how to compute them again. */
export function facts(report: Report): Markup {
  const { figures, audit } = report;
  return html`<section>
<h2 class="new-page">5. What the figures rest on</h2>
<p>Every figure above holds if all of this is true.</p>
${list(report.assumptions)}
</section>
<section>
<h2>6. What is not protected, and not covered</h2>
<p>No noise hides the following.</p>
${list(report.unprotected)}
<p>And no ε counts the following.</p>
${list(report.notCovered)}
</section>
<section>
<h2>7. Audit</h2>
${audit === 'not audited' ? html`<p>Not audited: no result of an attack on this software came with this report.</p>` : found(audit)}
</section>
<section>
<h2>8. Deviations and changes in the period</h2>
${deviations(figures.deviations)}
</section>
<section>
<h2>9. Verify it yourself</h2>
<p>Nothing here has to be believed. The ledger’s export, this software and the fingerprints below are enough:</p>
<pre>${report.verifyWith.join('\n')}</pre>
<table>
<caption>The ledger that this report is about</caption>
<tbody>
<tr><th scope="row">Entries</th><td>${figures.ledger.entries}</td></tr>
<tr><th scope="row">Root of the tree over them</th><td><code>${figures.ledger.root}</code></td></tr>
<tr><th scope="row">Coordinator</th><td><code>${figures.ledger.signedBy}</code></td></tr>
${figures.ledger.tenants.map(({ tenant, fingerprint }) => html`<tr><th scope="row">${tenant}</th><td><code>${fingerprint}</code></td></tr>`)}
</tbody>
</table>
</section>`;
}

const list = (statements: readonly Statement[]): Markup =>
  html`<dl>${statements.map(({ about, text }) => html`<dt>${about}</dt><dd>${text}</dd>`)}</dl>`;

function found({ verdict, reasons, task, plan, lowerBounds, confidence, canaries }: AuditFinding): Markup {
  const about =
    task === undefined
      ? `a plan that is not in this ledger (${plan ?? 'it does not say which'})`
      : `the plan of task ${shortTask(task)}`;
  const bounds = Object.entries(lowerBounds).map(([kind, bound]) => `ε ≥ ${short(bound)} (${kind})`);
  return html`<p><strong>${verdict}</strong>, for ${about}.</p>
<ul>
${bounds.length === 0 ? '' : html`<li>Found by attacks: ${bounds.join(', ')}${confidence === undefined ? '' : `, with confidence ${short(confidence)}`}${canaries === undefined ? '' : `, on ${canaries} canaries`}. A claim below any of these would be refuted; an attack that finds little proves nothing.</li>`}
${reasons.map((reason) => html`<li>${reason}</li>`)}
</ul>`;
}

function deviations(all: Report['figures']['deviations']): Markup {
  if (all.length === 0) return html`<p>None.</p>`;
  return html`<table class="long">
<caption>Whatever is neither plan nor success, in the order of the ledger</caption>
<thead><tr><th scope="col">Entry</th><th scope="col">On</th><th scope="col">Task</th><th scope="col">Kind</th><th scope="col">What</th></tr></thead>
<tbody>${all.map(({ seq, at, task, kind, what }) => html`<tr><td class="number">${seq}</td><td>${dayOf(at)}</td><td>${shortTask(task)}</td><td>${kind}</td><td>${what}</td></tr>`)}</tbody>
</table>`;
}

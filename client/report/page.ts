import type { PoolCharts } from './charts.ts';
import { html, Markup } from './markup.ts';
import { costs } from './page-costs.ts';
import { facts } from './page-facts.ts';
import { dayOf } from './period.ts';
import type { Report } from './report.ts';

/**
 * The report as one page to print or to hand on: A4, black on white, no script, no style, font or picture from elsewhere.
 *
 * Well-formed as XML too, so that anything may read it. Every text is escaped where it is put in (markup.ts).
 */
export function reportPage(report: Report, charts: readonly PoolCharts[]): string {
  const { words, caveats, figures, madeAt } = report;
  const { period, ledger } = figures;
  const title = `Privacy report, ${period.name === 'all' ? 'whole ledger' : period.name}`;
  const page: Markup = html`<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width"/>
<title>${title}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<p>Made on ${dayOf(madeAt)} from a ledger of ${ledger.entries} entries that verifies.</p>
</header>
<main>
<section>
<h2>1. In plain words</h2>
<p class="lead">${words.sentence}</p>
<p>${words.lifetime}</p>
<p>${words.customer}</p>
${caveats.length === 0 ? '' : html`<ul class="caveats">${caveats.map((caveat) => html`<li>${caveat}</li>`)}</ul>`}
</section>
${costs(figures, charts)}
${facts(report)}
</main>
</body>
</html>`;
  return `<!DOCTYPE html>\n${page.text}\n`;
}

const STYLE = `
@page { size: A4; margin: 18mm 16mm; }
body { font: 10.5pt/1.45 Georgia, 'Times New Roman', serif; color: #000; background: #fff; max-width: 178mm; margin: 0 auto; padding: 6mm; }
h1 { font-size: 19pt; margin: 0 0 2mm; }
h2 { font-size: 14pt; margin: 9mm 0 3mm; border-bottom: 1px solid #000; break-after: avoid; }
h3 { font-size: 11.5pt; margin: 6mm 0 2mm; break-after: avoid; }
.lead { font-size: 12.5pt; }
.caveats { border: 2px solid #000; padding: 3mm 3mm 3mm 9mm; }
table { border-collapse: collapse; width: 100%; margin: 2mm 0 4mm; break-inside: avoid; }
table.long { break-inside: auto; }
caption { text-align: left; font-style: italic; padding-bottom: 1mm; }
th, td { border: 1px solid #000; padding: 1mm 2mm; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
dt { font-weight: bold; break-after: avoid; }
dd { margin: 0 0 2mm 6mm; }
code, pre { font: 9pt/1.4 'Courier New', monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
figure { margin: 3mm 0; break-inside: avoid; }
figure svg { max-width: 100%; height: auto; }
@media print { body { padding: 0; max-width: none; } h2.new-page { break-before: page; } }
`;

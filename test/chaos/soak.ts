import { parseArgs } from 'node:util';
import { roundUp } from '../../aggregation/plot.ts';
import { textPlot } from '../../simulation/text-plot.ts';
import { seeded } from './network/seeded.ts';
import { runSoak } from './soak/soak-run.ts';
import { growth, type Sample } from './soak/steadiness.ts';

/**
 * `npm run soak`: twenty clients and a coordinator, each a process, hold three tasks at a time for half an hour, while processes are
 * killed and networks fail as a seed has it. Ends with 1 when memory or handles grow, or something was lost or counted twice. Every
 * process collects its garbage as it goes (`collecting.ts`): what V8 has not got round to is no growth. Their environment is
 * that of the units and the image.
 *
 *   --minutes N   --tenants N   --seed N   --rounds N (of each task)   --json
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    tenants: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
  },
});
/** In the second half of the run, a minute: MiB, and files and sockets. A finished task stays in the coordinator's memory: some KiB. */
const MOST_GROWTH = { held: 0.25, resident: 1, handles: 1 } as const;
const KINDS = Object.keys(MOST_GROWTH) as readonly (keyof typeof MOST_GROWTH)[];

const say = (line: string): void => (values.json ? undefined : console.log(line));
const report = await runSoak({
  seconds: 60 * Number(values.minutes),
  tenants: Number(values.tenants),
  rounds: Number(values.rounds),
  random: seeded(Number(values.seed)),
  ...{ sampleEverySeconds: 10, faultEverySeconds: 10, say },
});
const { samples, faults, violations, ...counts } = report;
const grown = Object.entries(samples).flatMap(([who, each]) =>
  KINDS.map((what) => ({ who, what, perMinute: growth(each, what) })),
);
const steep = grown.filter(({ what, perMinute }) => perMinute > MOST_GROWTH[what]);
if (values.json) console.log(JSON.stringify({ seed: values.seed, ...counts, faults, grown, violations, samples }));
else {
  console.log(`\n${plot('coordinator', samples.coordinator)}\n\n${plot('client', samples.client)}\n`);
  console.log(
    `seed ${values.seed}: ${Object.entries(counts)
      .map(([name, n]) => `${name} ${n}`)
      .join(', ')}`,
  );
  for (const [kind, n] of Object.entries(faults)) console.log(`  ${kind.padEnd(28)} ${n}`);
  for (const { who, what, perMinute } of grown)
    console.log(`${who}, ${what}: ${perMinute.toFixed(3)} a minute in the second half, at most ${MOST_GROWTH[what]}`);
  console.log(violations.length === 0 ? 'nothing was lost or counted twice' : violations.join('\n'));
}
process.exit(violations.length + steep.length > 0 ? 1 : 0);

function plot(who: string, each: readonly Sample[]): string {
  const series = (['resident', 'held'] as const).map((label) => ({
    label,
    points: each.map((sample) => ({ x: sample.at / 60, y: sample[label] })),
  }));
  const most = (of: (sample: Sample) => number): number => roundUp(Math.max(...each.map(of)));
  const chart = {
    title: who,
    x: { label: 'minutes', from: 0, to: most(({ at }) => at / 60) },
    y: { label: 'MiB', from: 0, to: most(({ resident }) => resident) },
    series,
  };
  return textPlot(chart, { columns: 60, rows: 8, braille: process.stdout.isTTY });
}

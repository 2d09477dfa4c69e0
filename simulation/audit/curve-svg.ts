import type { RatePair } from '../../privacy/attack/roc.ts';
import type { AuditReport } from './audit.ts';

const [WIDTH, HEIGHT, LEFT, TOP, SIDE] = [560, 520, 70, 40, 420] as const;
/** Both axes are logarithmic: what an attacker finds for certain lies at the far left. */
const DECADES = 3;
const LOWEST = 10 ** -DECADES;

/** The attack's curve beside the most that the claim allows, as an SVG document. */
export function curveSvg({ evidence, limit, subject }: AuditReport): string {
  const title = `Who was there? Release ε ${subject.claimed.release.toFixed(3)} at δ ${subject.privacy.delta}`;
  const allowed = limit.curve.filter(({ falsePositiveRate }) => falsePositiveRate > LOWEST);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" role="img">
<title>${title}</title>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="${LEFT}" y="22" font-size="13">${title}</text>
${grid()}
${line([pair(LOWEST, LOWEST), pair(1, 1)], '#777', '4 4')}
${line([pair(LOWEST, limit.at(LOWEST)), ...allowed, pair(1, 1)], '#b3261e')}
${line(stairs(evidence.roc.curve), '#1a56b0')}
${legend(0, '#b3261e', 'the claim allows at most (PLD)')}
${legend(1, '#1a56b0', `the attack found (AUC ${evidence.roc.auc.toFixed(3)})`)}
${legend(2, '#777', 'guessing')}
<text x="${LEFT + SIDE / 2}" y="${TOP + SIDE + 42}" text-anchor="middle">false positive rate</text>
<text transform="translate(20 ${TOP + SIDE / 2}) rotate(-90)" text-anchor="middle">true positive rate</text>
</svg>
`;
}

function grid(): string {
  const marks = Array.from({ length: DECADES + 1 }, (_, i) => 10 ** (i - DECADES));
  return marks
    .map((rate) => {
      const [x, y] = [across(rate), down(rate)];
      return `<path d="M${x} ${TOP}V${TOP + SIDE}M${LEFT} ${y}H${LEFT + SIDE}" stroke="#ddd" fill="none"/>
<text x="${x}" y="${TOP + SIDE + 18}" text-anchor="middle">${rate}</text>
<text x="${LEFT - 8}" y="${Number(y) + 4}" text-anchor="end">${rate}</text>`;
    })
    .join('\n');
}

/** Rates below the lowest are drawn at it. */
function line(pairs: readonly RatePair[], colour: string, dashes = 'none'): string {
  const points = pairs.map((each) => `${across(each.falsePositiveRate)},${down(each.truePositiveRate)}`);
  return `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${dashes}"/>`;
}

const pair = (falsePositiveRate: number, truePositiveRate: number): RatePair => ({
  falsePositiveRate,
  truePositiveRate,
});

/** A threshold finds as many until the next absent one is taken for present. */
const stairs = (curve: readonly RatePair[]): RatePair[] =>
  curve.flatMap((each, i) => [pair(each.falsePositiveRate, curve[i - 1]?.truePositiveRate ?? 0), each]);

const legend = (row: number, colour: string, text: string): string =>
  `<path d="M${LEFT + 190} ${TOP + SIDE - 60 + 18 * row}h24" stroke="${colour}" stroke-width="2"/><text x="${LEFT + 220}" y="${TOP + SIDE - 56 + 18 * row}">${text}</text>`;

const across = (rate: number): string => (LEFT + SIDE * share(rate)).toFixed(1);
const down = (rate: number): string => (TOP + SIDE * (1 - share(rate))).toFixed(1);
const share = (rate: number): number => 1 + Math.log10(Math.max(rate, LOWEST)) / DECADES;

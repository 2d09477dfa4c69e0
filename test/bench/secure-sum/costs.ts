import { protocolNamed } from '../../../aggregation/protocols.ts';
import type { SecureSumName, SumShape } from '../../../aggregation/secure-sum.ts';
import { sumCosts } from '../../../aggregation/sum-cost.ts';
import { type Federation, federation } from './conversation.ts';
import { addMs, masksMs } from './parts.ts';
import { equal, expectedSum, type Grid, shapeOf, vectorsOf } from './shapes.ts';

/** What 1,000,000 values cost in one protocol and lane. */
export interface CostRow {
  readonly protocol: SecureSumName;
  readonly grid: Grid;
  readonly tenants: number;
  /** lost between their keys and their contribution, in the opening */
  readonly lost: number;
  /** everything a client does in a round but its share of the opening: keys, encode, mask, encrypt, pack, hash, sign, verify */
  readonly clientMs: number;
  /** the same by `aggregation/sum-cost.ts`, the share included: what `parley privacy plan` shows */
  readonly expectedMs: number;
  /** of these, masks alone */
  readonly masksMs: number;
  /** the share of the opening: a partial decryption, or the shares of masks */
  readonly shareMs: number;
  /** what each contribution costs the coordinator: signature, form, adding */
  readonly serverMs: number;
  /** what is left of opening the sum */
  readonly openMs: number;
  /** of the contribution */
  readonly bytesPerValue: number;
}

const VALUES = 1_000_000;

interface Case {
  readonly protocol: SecureSumName;
  readonly grid: Grid;
  readonly tenants: number;
  readonly lost: number;
  readonly minCohort: number;
  readonly colluders: number;
}

const all = (protocol: SecureSumName, cohorts: readonly Omit<Case, 'protocol' | 'grid'>[]): Case[] =>
  (['16 bits', 'record'] as const).flatMap((grid) => cohorts.map((cohort) => ({ protocol, grid, ...cohort })));

const CASES: readonly Case[] = [
  // 33 tenants, each with 32 neighbours; and 100, of whom a client masks with 32 as long as ten may be lost
  ...all('masking', [
    { tenants: 33, lost: 0, minCohort: 24, colluders: 3 },
    { tenants: 100, lost: 10, minCohort: 90, colluders: 10 },
    { tenants: 100, lost: 30, minCohort: 60, colluders: 10 },
  ]),
  ...all('threshold-he', [{ tenants: 16, lost: 0, minCohort: 12, colluders: 2 }]),
  ...all('lattice-mask', [
    { tenants: 33, lost: 0, minCohort: 24, colluders: 3 },
    { tenants: 100, lost: 30, minCohort: 60, colluders: 10 },
  ]),
];

export async function costRows(options: { smoke: boolean; progress(text: string): void }): Promise<CostRow[]> {
  const rows: CostRow[] = [];
  for (const one of CASES) {
    if (options.smoke && one.tenants > 33) continue;
    options.progress(`${one.protocol}, ${one.grid}, ${one.tenants} tenants, ${one.lost} lost`);
    rows.push(await costOf(one, options.smoke));
  }
  return rows;
}

async function costOf(one: Case, smoke: boolean): Promise<CostRow> {
  const { protocol, grid, tenants, lost, minCohort, colluders } = one;
  const shape = shapeOf(tenants, smoke ? 5000 : VALUES, grid, minCohort, colluders);
  const parties = await federation(protocolNamed(protocol), shape);
  const runs = smoke || tenants > 50 ? 1 : 3;
  const measured: Measured[] = [];
  for (let run = 0; run < runs; run++) measured.push(await roundOf(parties, shape, one));
  const least = (of: (m: Measured) => number): number => Math.min(...measured.map(of));
  return {
    ...{ protocol, grid, tenants, lost },
    clientMs: least(({ clientMs }) => clientMs),
    masksMs: least(({ masksMs }) => masksMs),
    expectedMs: sumCosts(shape).find((cost) => cost.protocol === protocol)!.clientMs,
    shareMs: least(({ shareMs }) => shareMs),
    serverMs: least(({ serverMs }) => serverMs),
    openMs: least(({ openMs }) => openMs),
    bytesPerValue: measured[0]!.bytesUp / shape.dimension,
  };
}

type Measured = Awaited<ReturnType<typeof roundOf>>;

async function roundOf(parties: Federation, shape: SumShape, { protocol, grid, lost }: Case) {
  const vectorOf = vectorsOf(shape, grid);
  const gone = lost === 0 ? [] : parties.members.slice(-lost);
  const round = await parties.round(vectorOf, gone);
  const opened = await round.open();
  if (!opened || !equal(opened.sum, expectedSum(vectorOf, round.contributions.keys())))
    throw new Error('the sum is wrong');
  const shareMs = [...round.spent.ms].reduce((sum, [stage, ms]) => (isShare(stage) ? sum + ms : sum), 0);
  const clientMs = [...round.spent.ms.values()].reduce((sum, ms) => sum + ms, 0) - shareMs;
  const adding = await addMs(protocol, shape, round.contributions);
  return {
    ...{ clientMs, shareMs, masksMs: await masksMs(protocol, shape) },
    serverMs: round.checkMs + adding,
    openMs: Math.max(0, opened.openMs - adding * round.contributions.size),
    bytesUp: round.spent.vectorBytes,
  };
}

const isShare = (stage: string): boolean => stage === 'share' || stage === 'reveal';

export function costTable(rows: readonly CostRow[]): string {
  const lines = rows.map(({ protocol, grid, tenants, lost, ...row }) =>
    [
      protocol.padEnd(13),
      grid.padEnd(8),
      `${tenants}${lost > 0 ? `, ${lost} lost` : ''}`.padEnd(13),
      row.clientMs.toFixed(0).padStart(9),
      row.masksMs.toFixed(0).padStart(9),
      row.shareMs.toFixed(0).padStart(9),
      row.serverMs.toFixed(2).padStart(10),
      row.openMs.toFixed(0).padStart(8),
      row.bytesPerValue.toFixed(2).padStart(8),
      row.expectedMs.toFixed(0).padStart(11),
    ].join(' '),
  );
  const columns =
    '1,000,000 values       tenants       client ms  masks ms  share ms  server ms  open ms  B/value  expected ms';
  return [columns, ...lines].join('\n');
}

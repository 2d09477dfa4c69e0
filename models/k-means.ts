import { condense, nearestCentre } from './condense.ts';
import type { CustomerVectors } from './customer-vectors.ts';
import { type Encoded, rowsOfCustomer } from './encoded.ts';

/**
 * Private Lloyd by sums. A round's sum has one block for each cell: [customers, Σ x_1 … Σ x_m, (Σ label)].
 * Each customer is in the block of its nearest cell and in no other, as the mean of its rows.
 *
 *   start:     6 · k cells spread over the box, from no data         (`spread`)
 *   round 1:   the cells' noisy counts and means are condensed to k centres by ordinary k-means on those
 *              public numbers (`condense`); the cells left over are parked
 *   round 2…:  Lloyd on the k centres
 *
 * Five rounds are few and Lloyd is only as good as its start; k fixed points in a box where the data fill a corner
 * end in a poor optimum. The first sum costs the same with 6 · k blocks as with k, since a customer is in one
 * block either way.
 *
 * @see Su et al. 2016 (DPLloyd); Chang et al. 2021, Practical Differentially Private Clustering (private core-sets);
 *   Diaa et al. 2025 (FastLloyd), which this follows in adding only sums
 */
export interface KMeansShape {
  /** k */
  readonly clusters: number;
  /** inputs of a row, m */
  readonly width: number;
  /** does each block end with the sum of labels? */
  readonly labelled: boolean;
}

/** Cells of the first round for each cluster asked for: measured on six public data sets, no gain above. */
export const cellsPerCluster = 6;

/** Where unused cells wait: from every point of the box any centre in the box is nearer. */
const parking = 4;

/** Coordinates of a cell's block. */
export function blockLength({ width, labelled }: Pick<KMeansShape, 'width' | 'labelled'>): number {
  return 1 + width + (labelled ? 1 : 0);
}

/**
 * Public bound on the norm of one customer's vector: the count, each feature and the label add at most 1 to its
 * square. A one-hot feature is one feature: its inputs are 1 once and 0 else.
 *
 * @param features - how many the schema lists
 */
export function customerNorm(features: number, labelled: boolean): number {
  return Math.sqrt(1 + features + (labelled ? 1 : 0));
}

/** The k centres inside a parameter vector, parked cells left out. k × width. */
export function centresOf(parameters: Float64Array, shape: KMeansShape): Float64Array {
  return parameters.slice(0, shape.clusters * shape.width);
}

/** Is this the start, before any sum was opened? Then all cells are in use. */
export function isStart(parameters: Float64Array, shape: KMeansShape): boolean {
  return parameters[shape.clusters * shape.width] !== parking;
}

/**
 * The cell of each customer: nearest to the mean of its rows, the lowest of equals.
 *
 * @param centres - cells × width
 */
export function assignments(centres: Float64Array, encoded: Encoded): Int32Array {
  const point = new Float64Array(encoded.width);
  return Int32Array.from({ length: encoded.customers }, (_, customer) => {
    readMean(encoded, customer, point);
    return nearestCentre(centres, point, 0, encoded.width);
  });
}

/**
 * What each of the drawn customers adds to a round's sum.
 *
 * @param parameters - the cells of this round
 * @param customers - numbers in `encoded`, −1 for a slot without one; at most `maxBatch`, the slots above read as zero
 */
export function clusterVectors(
  shape: KMeansShape,
  parameters: Float64Array,
  encoded: Encoded,
  customers: Int32Array,
  maxBatch: number,
): CustomerVectors {
  if (customers.length > maxBatch) throw new RangeError(`a batch holds at most ${maxBatch} customers`);
  if (shape.labelled && encoded.labels === null) throw new RangeError('labelled sums need rows with labels');
  const { width } = encoded;
  const block = blockLength(shape);
  const point = new Float64Array(width);
  return {
    count: maxBatch,
    dimension: (parameters.length / width) * block,
    read(index, into) {
      into.fill(0);
      const customer = customers[index];
      if (customer === undefined || customer < 0) return;
      readMean(encoded, customer, point);
      const at = nearestCentre(parameters, point, 0, width) * block;
      into[at] = 1;
      into.set(point, at + 1);
      if (shape.labelled) into[at + 1 + width] = meanLabel(encoded, customer);
    },
  };
}

/**
 * The next cells, from an opened sum. The same bits on every machine.
 *
 * @param sums - one block for each cell of `previous`, noise included
 * @param floor - a cell whose noisy count is below it keeps its place (in round 1: is left out); see `countFloor`
 * @throws RangeError when the lengths do not fit, or a sum is not finite
 */
export function nextCentres(
  sums: Float64Array,
  previous: Float64Array,
  shape: KMeansShape,
  floor: number,
): Float64Array {
  const block = blockLength(shape);
  if (sums.length !== (previous.length / shape.width) * block) {
    throw new RangeError(
      `a sum of ${(previous.length / shape.width) * block} coordinates is needed, got ${sums.length}`,
    );
  }
  if (!sums.every(Number.isFinite)) throw new RangeError('sums must be finite');
  if (isStart(previous, shape)) return condenseCells(sums, previous, shape, floor);
  const next = previous.slice();
  for (let c = 0; c < shape.clusters; c++) {
    if (sums[c * block]! >= floor) next.set(cellMean(sums, c, shape), c * shape.width);
  }
  return next;
}

/** The usual floor: three standard deviations of the noise on a count, and at least one customer. */
export function countFloor(noiseStdDev: number): number {
  return Math.max(1, 3 * noiseStdDev);
}

function condenseCells(sums: Float64Array, start: Float64Array, shape: KMeansShape, floor: number): Float64Array {
  const { clusters, width } = shape;
  const block = blockLength(shape);
  const counts = Float64Array.from({ length: start.length / width }, (_, cell) => sums[cell * block]!);
  const fullest = [...counts.keys()].sort((a, b) => counts[b]! - counts[a]! || a - b);
  // with too few cells above the floor the fullest k stand in, unmoved where nothing can be said of their mean
  const used = fullest.filter((cell, rank) => counts[cell]! >= floor || rank < clusters);
  const points = used.flatMap((cell) =>
    counts[cell]! >= floor ? [...cellMean(sums, cell, shape)] : [...start.subarray(cell * width, (cell + 1) * width)],
  );
  const weights = Float64Array.from(used, (cell) => Math.max(counts[cell]!, 1));
  const next = new Float64Array(start.length).fill(parking);
  next.set(condense({ width, points: Float64Array.from(points), weights }, clusters));
  return next;
}

function cellMean(sums: Float64Array, cell: number, shape: KMeansShape): Float64Array {
  const at = cell * blockLength(shape);
  const inputs = sums.subarray(at + 1, at + 1 + shape.width);
  return inputs.map((sum) => Math.min(1, Math.max(-1, sum / sums[at]!)));
}

function readMean(encoded: Encoded, customer: number, into: Float64Array): void {
  const { inputs, width } = encoded;
  const rows = rowsOfCustomer(encoded, customer);
  into.fill(0);
  for (const row of rows) {
    for (let j = 0; j < width; j++) into[j]! += inputs[row * width + j]! / rows.length;
  }
}

function meanLabel(encoded: Encoded, customer: number): number {
  const rows = rowsOfCustomer(encoded, customer);
  return rows.reduce((sum, row) => sum + encoded.labels![row]!, 0) / rows.length;
}

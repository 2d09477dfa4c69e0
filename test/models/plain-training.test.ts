import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Backend, startBackend } from '../../models/backend.ts';
import { encode } from '../../models/encode.ts';
import { type Encoded, groupRows, heldOutCustomers, subset, trainingCustomers } from '../../models/encoded.ts';
import { dimensionOf } from '../../models/layers.ts';
import { exactMetrics } from '../../models/metrics.ts';
import { initialParameters, type LogisticSpec, type MlpSpec, networkOf } from '../../models/model.ts';
import { scores } from '../../models/network.ts';
import { trainPlain } from '../../models/plain-training.ts';
import { type Feature, featureSchema } from '../../models/schema.ts';
import { encodedOf, tableOf, uniformFrom } from './tables.ts';

const logistic: LogisticSpec = { kind: 'logistic' };
let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('wasm');
});

async function rocAuc(spec: LogisticSpec | MlpSpec, train: Encoded, heldOut: Encoded): Promise<number> {
  const net = networkOf(spec, train.width);
  const parameters = await trainPlain(backend, net, initialParameters(spec, train.width), train);
  return exactMetrics(await scores(backend, net, parameters, heldOut.inputs), heldOut.labels!).rocAuc;
}

describe('plain training', () => {
  const rows = [
    [0.5, -1],
    [1, 0.25],
    [-0.75, 0.5],
    [0, -0.5],
    [-1, -1],
    [0.25, 1],
  ];
  const labels = [1, 1, 0, 1, 0, 0];

  test('it is that of scikit-learn with C = 1', async () => {
    const parameters = await trainPlain(backend, { widths: [2, 1] }, new Float64Array(3), encodedOf(rows, labels));
    // scikit-learn 1.9: LogisticRegression(C=1, tol=1e-12).fit(rows, labels)
    for (const [i, expected] of [0.94387477, -0.56138202, -0.07045272].entries())
      expect(parameters[i]).toBeCloseTo(expected, 6);
  });

  test.each([
    [2, 1],
    [2, 3, 1],
  ])('a customer with many rows counts as much as one with a single row: %j', async (...widths) => {
    const repeated = [...rows, rows[0]!, rows[0]!, rows[3]!];
    const customers = groupRows(Int32Array.of(0, 1, 2, 3, 4, 5, 0, 0, 3), 6);
    const many = { ...encodedOf(repeated, [...labels, 1, 1, 1]), ...customers, heldOut: new Uint8Array(6), maxRows: 3 };
    const start = Float64Array.from({ length: dimensionOf({ widths }) }, (_, i) => ((i * 7) % 5) / 10 - 0.2);
    const train = (encoded: Encoded) => trainPlain(backend, { widths }, start, encoded);
    const [once, often] = [await train(encodedOf(rows, labels)), await train(many)];
    for (let i = 0; i < once.length; i++) expect(often[i]).toBeCloseTo(once[i]!, 3);
  });

  test('rows without labels are refused', async () => {
    const unlabelled = { ...encodedOf(rows, labels), labels: null };
    await expect(trainPlain(backend, { widths: [2, 1] }, new Float64Array(3), unlabelled)).rejects.toThrow('labels');
  });
});

describe('plain networks', () => {
  test('a network learns what logistic regression cannot: the exclusive or', async () => {
    const uniform = uniformFrom(3);
    const rows = Array.from({ length: 400 }, () => [2 * uniform() - 1, 2 * uniform() - 1]);
    const encoded = encodedOf(
      rows,
      rows.map(([x, y]) => Number(x! * y! > 0)),
    );
    expect(await rocAuc(logistic, encoded, encoded)).toBeLessThan(0.65);
    expect(await rocAuc({ kind: 'mlp', hidden: [16], seed: 1 }, encoded, encoded)).toBeGreaterThan(0.95);
  });
});

const churnFile = new URL('../../simulation/data/wa_churn.csv.gz', import.meta.url);

describe('real customers', () => {
  /** The IBM Telco sample: three numbers, everything else a category. */
  function churn(): Encoded {
    const lines = gunzipSync(readFileSync(churnFile)).toString().trim().split('\n');
    const [columns, ...rows] = lines.map((line) => line.split(',').map((cell) => cell.replaceAll('"', '')));
    const numbers: Record<string, [number, number]> = {
      tenure: [0, 72],
      monthly_charges: [18, 120],
      total_charges: [0, 9000],
    };
    const features = columns!.flatMap((column, place): Feature[] => {
      if (column === 'churn') return [];
      const [minimum, maximum] = numbers[column] ?? [];
      if (minimum !== undefined && maximum !== undefined)
        return [{ kind: 'number', column, minimum, maximum, missing: minimum }];
      const categories = [...new Set(rows.map((row) => row[place]!))].sort();
      return [{ kind: 'category', column, categories, missing: 'refuse', unknown: 'refuse' }];
    });
    const label = { column: 'churn', positive: 'Yes', negative: 'No' };
    const schema = featureSchema.parse({ customer: 'row', label, features, holdout: { oneIn: 5 } });
    return encode(schema, tableOf(columns!, rows));
  }

  test('pooled logistic regression reaches on its held-out fifth what scikit-learn reaches there', async () => {
    const encoded = churn();
    expect([encoded.width, heldOutCustomers(encoded).length]).toEqual([46, 1417]);
    const auc = await rocAuc(
      logistic,
      subset(encoded, trainingCustomers(encoded)),
      subset(encoded, heldOutCustomers(encoded)),
    );
    // scikit-learn 1.9, LogisticRegression(C=1) on the same split: 0.85060
    expect(Math.abs(auc - 0.8506)).toBeLessThan(1e-3);
  });
});

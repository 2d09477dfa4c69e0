import { once } from 'node:events';
import { createWriteStream, existsSync, renameSync, rmSync } from 'node:fs';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import { type Model, readModel } from '../models/artifact.ts';
import { type Backend, type BackendName, startBackend } from '../models/backend.ts';
import { encode, type Table } from '../models/encode.ts';
import { assignments, centresOf } from '../models/k-means.ts';
import { networkOf } from '../models/model.ts';
import { scores } from '../models/network.ts';
import { inputWidth } from '../models/schema.ts';
import { csvLine } from './csv-line.ts';
import { RowsUnreadable, readSnapshot } from './rows.ts';

/** `parley predict`: scores where the customers are. */
export interface PredictOptions {
  readonly model: string;
  readonly segments?: string;
  readonly customer?: string;
  readonly input?: string;
  readonly output?: string;
  readonly backend?: BackendName;
  readonly json?: boolean;
}

export async function predict(options: PredictOptions): Promise<void> {
  if ((options.customer === undefined) === (options.input === undefined))
    throw new CommandError(EXIT.usage, 'give either --customer with one JSON object, or --input with a file');
  const model = await modelIn(options.model);
  const segments = options.segments === undefined ? undefined : await modelIn(options.segments);
  if (model.spec.kind === 'k-means')
    throw new CommandError(EXIT.usage, `${options.model} holds segments; give it with --segments`);
  const table = await tableOf(options);
  const backend = await startBackend(options.backend);
  const scored = await score(table, model, segments, backend);
  if (options.output !== undefined) return writeCsv(table, scored, options.output, options.json === true);
  print(scored, options.json === true);
}

interface Scored {
  readonly scores: Float32Array;
  /** segment of each row, from 1 */
  readonly segments: Int32Array | undefined;
}

async function score(table: Table, model: Model, segments: Model | undefined, backend: Backend): Promise<Scored> {
  try {
    const { spec } = model;
    if (spec.kind === 'k-means') throw new Error('k-means has no score');
    const { inputs } = encode(model.schema, table, 'scoring');
    const probabilities = await scores(backend, networkOf(spec, inputWidth(model.schema)), model.parameters, inputs);
    return { scores: probabilities, segments: segments && segmentsOf(table, segments) };
  } catch (error) {
    if ((error as Error).name === 'RowError') throw new CommandError(EXIT.input, (error as Error).message);
    throw error;
  }
}

function segmentsOf(table: Table, { spec, schema, parameters }: Model): Int32Array {
  if (spec.kind !== 'k-means') throw new CommandError(EXIT.usage, '--segments needs the model of a segmentation task');
  const shape = { clusters: spec.clusters, width: inputWidth(schema), labelled: schema.label !== undefined };
  const encoded = encode(schema, table, 'scoring');
  return assignments(centresOf(parameters, shape), encoded).map((segment) => segment + 1);
}

async function modelIn(folder: string): Promise<Model> {
  try {
    return await readModel(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new CommandError(
        EXIT.input,
        `${folder} holds no model; a client keeps released models under models/ in its folder`,
      );
    throw new CommandError(EXIT.broken, (error as Error).message);
  }
}

async function tableOf({ customer, input }: PredictOptions): Promise<Table> {
  if (input !== undefined) {
    try {
      return (await readSnapshot(input)).table;
    } catch (error) {
      if (error instanceof RowsUnreadable) throw new CommandError(EXIT.input, error.message);
      throw error;
    }
  }
  let value: unknown;
  try {
    value = JSON.parse(customer!);
  } catch {
    throw new CommandError(
      EXIT.input,
      '--customer is not JSON: write it as \'{"tenure": 12, "contract": "One year", …}\'',
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CommandError(EXIT.input, '--customer must be one JSON object');
  const cells = Object.values(value).map((cell) => (cell === null ? null : String(cell)));
  return { file: '--customer', columns: Object.keys(value), rows: [cells], line: () => 1 };
}

function print({ scores: all, segments }: Scored, asJson: boolean): void {
  const answers = [...all].map((probability, row) => ({
    score: round(probability),
    ...(segments && { segment: segments[row]! }),
  }));
  if (asJson) console.log(JSON.stringify(answers.length === 1 ? answers[0] : answers));
  else
    for (const { score, segment } of answers as { score: number; segment?: number }[])
      console.log(segment === undefined ? score : `${score}\tsegment ${segment}`);
}

const round = (value: number): number => Number(value.toFixed(4));

/** Written beside and moved into place: a half-written file never has the name that was asked for. */
async function writeCsv(
  table: Table,
  { scores: all, segments }: Scored,
  output: string,
  asJson: boolean,
): Promise<void> {
  if (existsSync(output))
    throw new CommandError(EXIT.usage, `${output} exists already; remove it, or choose another name`);
  const partial = `${output}.partial`;
  try {
    const stream = createWriteStream(partial, { flags: 'w' });
    const added = segments === undefined ? ['score'] : ['score', 'segment'];
    stream.write(csvLine([...table.columns, ...added]));
    for (const [row, cells] of table.rows.entries()) {
      const more =
        segments === undefined ? [String(round(all[row]!))] : [String(round(all[row]!)), String(segments[row]!)];
      if (!stream.write(csvLine([...cells, ...more]))) await once(stream, 'drain');
    }
    stream.end();
    await once(stream, 'finish');
    renameSync(partial, output);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
  console.log(
    asJson ? JSON.stringify({ output, rows: table.rows.length }) : `${table.rows.length} customers scored: ${output}`,
  );
}

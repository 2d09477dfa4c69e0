import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import { unpack } from 'msgpackr';
import { isRecord } from './nearly.ts';

/**
 * Inputs that are kept: `corpus/<target>-<hash>.json`, each smallest of what once showed a fault, fed again in every run; and
 * `corpus/frames.br` and `files.br`, messages and files of federations that ran (`record.ts`), which byte-level fuzzing begins with.
 */
export const CORPUS: string = fileURLToPath(new URL('./corpus/', import.meta.url));

export interface Kept {
  readonly target: string;
  /** what it showed when it was found */
  readonly showed: string;
  readonly input: unknown;
}

export function keptFor(target: string): Kept[] {
  const files = readdirSync(CORPUS).filter((file) => file.endsWith('.json'));
  const all = files.sort().map((file) => fromText(readFileSync(`${CORPUS}${file}`, 'utf8')) as Kept);
  return all.filter((one) => one.target === target);
}

/** @returns where it lies */
export function keep(one: Kept): string {
  const hash = createHash('sha256').update(`${one.target} ${one.showed}`).digest('hex').slice(0, 8);
  const file = `${CORPUS}${one.target}-${hash}.json`;
  if (!existsSync(file)) writeFileSync(file, `${toText(one)}\n`);
  return file;
}

/** A message of a federation that ran: who said it, in which protocol, and its body. */
export interface RecordedFrame {
  readonly from: 'client' | 'coordinator';
  readonly protocol: string;
  readonly body: Uint8Array;
}

export function recordedFrames(from?: RecordedFrame['from']): RecordedFrame[] {
  const all = unpack(brotliDecompressSync(readFileSync(`${CORPUS}frames.br`))) as RecordedFrame[];
  return from === undefined ? all : all.filter((one) => one.from === from);
}

/** Files as the program writes them, by kind. */
export function recordedFiles(): Readonly<Record<string, string>> {
  files ??= unpack(brotliDecompressSync(readFileSync(`${CORPUS}files.br`))) as Record<string, string>;
  return files;
}
let files: Record<string, string> | undefined;

/** JSON, and what JSON has no way to write: bytes, and numbers that are none. */
export const toText = (value: unknown): string => JSON.stringify(written(value), undefined, 1);
export const fromText = (text: string): unknown => read(JSON.parse(text));

function written(value: unknown): unknown {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') };
  if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)))
    return { $number: Object.is(value, -0) ? '-0' : String(value) };
  if (value === undefined) return { $undefined: true };
  if (Array.isArray(value)) return value.map(written);
  return isRecord(value) ? fields(value, written) : value;
}

function read(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(read);
  if (!isRecord(value)) return value;
  if (typeof value['$bytes'] === 'string') return new Uint8Array(Buffer.from(value['$bytes'], 'base64'));
  if (typeof value['$number'] === 'string') return Number(value['$number']);
  return value['$undefined'] === true ? undefined : fields(value, read);
}

function fields(value: Record<string, unknown>, each: (one: unknown) => unknown): object {
  const copy = {};
  for (const [name, one] of Object.entries(value))
    Object.defineProperty(copy, name, { value: each(one), enumerable: true, writable: true, configurable: true });
  return copy;
}

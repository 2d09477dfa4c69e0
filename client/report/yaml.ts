/**
 * Plain data as YAML that readers of 1.1 and 1.2 read alike: block maps and lists, every string in double quotes as in JSON,
 * every number that is no whole one with its point (1.1 reads 1e-05 as text, and 1.0e-05 as a number).
 *
 * @see YAML 1.2.2 §5.7 and §7.3.1 (JSON strings are double-quoted scalars), YAML 1.1 float type
 */
export type Yaml = string | number | boolean | readonly Yaml[] | { readonly [key: string]: Yaml };

/** @throws RangeError for numbers that are not finite, and for empty maps and lists: there is no block form of them */
export function yamlText(value: Yaml): string {
  return `${block(value, '').replace(/^\n/, '')}\n`;
}

/** After the colon of a key or the dash of an item: on the same line, or below it. */
function block(value: Yaml, indent: string): string {
  if (typeof value !== 'object') return scalar(value);
  const lines = Array.isArray(value)
    ? value.map((item) => `${indent}- ${block(item, `${indent}  `).trimStart()}`)
    : Object.entries(value).map(([key, item]) => `${indent}${name(key)}:${after(item, indent)}`);
  if (lines.length === 0) throw new RangeError('an empty map or list has no place in a block');
  return `\n${lines.join('\n')}`;
}

const after = (value: Yaml, indent: string): string =>
  typeof value === 'object' ? block(value, `${indent}  `) : ` ${scalar(value)}`;

const name = (key: string): string => (/^[a-z][a-z0-9_]*$/.test(key) && !RESERVED.test(key) ? key : quoted(key));

/** Words that 1.1 does not read as text. */
const RESERVED = /^(y|yes|n|no|true|false|on|off|null)$/;

function scalar(value: string | number | boolean): string {
  if (typeof value !== 'number') return typeof value === 'string' ? quoted(value) : String(value);
  if (!Number.isFinite(value)) throw new RangeError(`${value} is no number of a report`);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  const [digits, exponent] = String(value).split('e') as [string, string?];
  return (digits.includes('.') ? digits : `${digits}.0`) + (exponent === undefined ? '' : `e${exponent}`);
}

/** JSON, with what YAML does not allow unescaped (§5.1), or would read as a line break, escaped. */
const quoted = (text: string): string =>
  JSON.stringify(text.toWellFormed()).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Yaml, yamlText } from '../../../client/report/yaml.ts';

/** The part of YAML that is written here: block maps and lists by indentation, double-quoted strings, plain numbers and booleans. */
function read(text: string): unknown {
  const lines = text.trimEnd().split('\n');
  const depth = (line: string): number => line.length - line.trimStart().length;
  const scalar = (word: string): unknown => JSON.parse(word);
  const block = (from: number, indent: number): [unknown, number] => {
    if (!lines[from]!.trimStart().startsWith('- ')) return map(from, indent);
    const items: unknown[] = [];
    let at = from;
    while (at < lines.length && depth(lines[at]!) === indent && lines[at]!.trimStart().startsWith('- ')) {
      const rest = lines[at]!.slice(indent + 2);
      if (/^("(?:[^"\\]|\\.)*"|[a-z_]+):( |$)|^- /.test(rest)) {
        lines[at] = `${' '.repeat(indent + 2)}${rest}`;
        const [item, next] = block(at, indent + 2);
        items.push(item);
        at = next;
      } else {
        items.push(scalar(rest));
        at++;
      }
    }
    return [items, at];
  };
  const map = (from: number, indent: number): [unknown, number] => {
    const entries: [string, unknown][] = [];
    let at = from;
    while (at < lines.length && depth(lines[at]!) === indent) {
      const [, key, value] = /^\s*("(?:[^"\\]|\\.)*"|[a-z0-9_]+):(?: (.*))?$/.exec(lines[at]!)!;
      const name = key!.startsWith('"') ? (scalar(key!) as string) : key!;
      if (value !== undefined) entries.push([name, scalar(value)]);
      const [inner, next] = value === undefined ? block(at + 1, indent + 2) : [undefined, at + 1];
      if (value === undefined) entries.push([name, inner]);
      at = next;
    }
    return [Object.fromEntries(entries), at];
  };
  return /^("(?:[^"\\]|\\.)*"|[a-z0-9_]+):|^- /.test(text) ? block(0, 0)[0] : scalar(text.trimEnd());
}

describe('what is written', () => {
  test('is what PyYAML 6.0.3 (YAML 1.1) and its own reader read back', () => {
    const value = {
      text: 'x: #y\n"q" \u2028 \u0085 é 😀 \ufeff',
      no: 1e-5,
      list: [{ k: 1, m: { d: 2.5e-21 } }, ['a', [1, 2]], 's', true],
      'odd key': -0.1,
      big: 1e21,
    };
    expect(yamlText(value)).toBe(`text: "x: #y\\n\\"q\\" \\u2028 \\u0085 é 😀 \\ufeff"
"no": 0.00001
list:
  - k: 1
    m:
      d: 2.5e-21
  - - "a"
    - - 1
      - 2
  - "s"
  - true
"odd key": -0.1
big: 1.0e+21
`);
    expect(read(yamlText(value))).toEqual(value);
  });

  test('reads back, whatever it is', () => {
    const word = fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.toWellFormed());
    const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0); // JSON has no −0
    const { tree } = fc.letrec<{ tree: Yaml }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        word,
        number.filter((value) => !Object.is(value, -0)),
        fc.integer(),
        fc.boolean(),
        fc.array(tie('tree'), { minLength: 1, maxLength: 4 }),
        fc.dictionary(word, tie('tree'), { minKeys: 1, maxKeys: 4, noNullPrototype: true }),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        expect(read(yamlText(value))).toEqual(value);
      }),
    );
  });
});

test.each([
  ['1e-7', 1e-7, '1.0e-7'],
  ['1.5e-7', 1.5e-7, '1.5e-7'],
  ['1e300', 1e300, '1.0e+300'],
  ['2', 2, '2'],
  ['0.1', 0.1, '0.1'],
])('the number %s has a point or is whole, as YAML 1.1 wants of numbers', (_, value, expected) => {
  expect(yamlText({ value })).toBe(`value: ${expected}\n`);
  // PyYAML's resolver for floats, resolver.py
  expect(expected).toMatch(/^[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?$|^[0-9]+$/);
});

test.each(['yes', 'no', 'on', 'off', 'y', 'n', 'true', 'null', '1', '', 'a-b', 'Ä'])('the key %j is quoted', (key) => {
  expect(yamlText({ [key]: 1 })).toBe(`${JSON.stringify(key)}: 1\n`);
});

test('half a character becomes the one that stands for it', () => {
  expect(yamlText({ a: 'x\ud800' })).toBe('a: "x\ufffd"\n');
});

test('what has no block form is refused', () => {
  expect(() => yamlText({ a: [] })).toThrow('an empty map or list');
  expect(() => yamlText({})).toThrow('an empty map or list');
  expect(() => yamlText({ a: Number.POSITIVE_INFINITY })).toThrow('Infinity is no number');
});

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { Spool } from '../../coordinator/spool.ts';
import { temporaryFolder } from '../support/folder.ts';

const letter = fc.uint8Array({ maxLength: 300 });
const letters = fc.dictionary(fc.stringMatching(/^[a-z]{1,4}$/), letter, { maxKeys: 5, noNullPrototype: true });

function spool(): { spool: Spool; folder: string } {
  const folder = temporaryFolder();
  const made = new Spool(folder);
  onTestFinished(() => made.clear());
  return { spool: made, folder };
}

test('letters come back as they were put, whoever has put others since', () => {
  const { spool: own } = spool();
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 4 }), (all) => {
      const given = all.map((one) => new Map(Object.entries(one)));
      const kept = given.map((one) => own.put(one));
      for (const [i, one] of given.entries()) {
        expect(kept[i]!.size).toBe(one.size);
        expect([...kept[i]!].map(([to, bytes]) => [to, Uint8Array.from(bytes)])).toEqual([...one]);
        for (const [to, { length }] of one) expect(kept[i]!.lengthTo(to)).toBe(length);
        expect(kept[i]!.lengthTo('nobody')).toBe(0);
        expect(kept[i]!.get('nobody')).toBeUndefined();
      }
    }),
  );
});

test('what is in the file has no name: nobody else finds it, and nothing is left when the process dies', () => {
  const { spool: own, folder } = spool();
  own.put(new Map([['amber', randomBytes(10)]]));
  expect(readdirSync(folder)).toEqual([]);
});

test('letters of a conversation that is over are not read from another’s', () => {
  const { spool: own } = spool();
  const old = own.put(new Map([['amber', randomBytes(10)]]));
  own.clear();
  own.put(new Map([['amber', randomBytes(10)]]));
  const others = spool().spool;
  const foreign = others.put(new Map([['amber', randomBytes(10)]]));
  expect(() => old.get('amber')).toThrow('a letter of a conversation that is over');
  expect(foreign.get('amber')).toHaveLength(10);
});

test('a disk that takes no more is an error, and no letter that is cut off', () => {
  const program = `
    import { Spool } from '${import.meta.dirname}/../../coordinator/spool.ts';
    const spool = new Spool('${temporaryFolder()}');
    try {
      spool.put(new Map([['amber', new Uint8Array(30000)], ['blue', new Uint8Array(30000)]]));
      console.log('taken');
    } catch ({ code }) {
      console.log(code);
    }`;
  const script = 'trap "" XFSZ; ulimit -f 40; exec "$0" --input-type=module -e "$1"'; // in KiB
  const said = execFileSync('bash', ['-c', script, process.execPath, program], { encoding: 'utf8' });
  expect(said.trim()).toBe('EFBIG');
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { keysIn } from '../../aggregation/folder-keys.ts';
import { fingerprint, type Identity } from '../../aggregation/identity.ts';
import { signNotice } from '../../aggregation/notice.ts';
import { hex } from '../../aggregation/plan.ts';
import { keyFile, writeKeyFile } from '../../aggregation/secret.ts';
import { openClientStore } from '../../client/client-store.ts';
import { policyFile, storeFile } from '../../client/folder.ts';
import { rekey } from '../../client/rekey-command.ts';
import { openBudget } from '../../privacy/budget.ts';
import { temporaryFolder } from '../support/folder.ts';
import type { Server } from '../support/serving.ts';
import { enrolledFolder, limits, saying } from '../support-client/tenant-folder.ts';

const DYING = join(import.meta.dirname, '../support-client/dying-rekey.ts');

/** An enrolled tenant's folder, with a budget and more in its store. */
async function begin(secretFile?: string) {
  const secret = secretFile === undefined ? undefined : keyFile(secretFile);
  const begun = await enrolledFolder(secret === undefined ? {} : { secret });
  const store = openClientStore(storeFile(begun.folder), keysIn(begun.folder, secret).storeKey);
  store.setBudget(openBudget(limits));
  store.pin('mine', 'kept');
  store.accept('a-task', { plan: '{}', data: 'x' });
  store.close();
  return { ...begun, secret, old: begun.identity };
}

const known = (server: Server): string => hex(server.coordinator.enrolment.keyOf('ada')!);
const changes = (server: Server): string[] =>
  server.coordinator.store
    .ledger(0)
    .map((text) => JSON.parse(text))
    .flatMap((entry) => (entry.kind === 'roster' ? [entry.change] : []));

async function dieAt(point: number, args: readonly string[]): Promise<{ killed: boolean; moments: string[] }> {
  const child = spawn(process.execPath, [DYING, String(point), ...args]);
  let said = '';
  let wrong = '';
  child.stdout.on('data', (data: Buffer) => {
    said += data;
  });
  child.stderr.on('data', (data: Buffer) => {
    wrong += data;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (signal === null) expect(code, wrong).toBe(0);
  return { killed: signal === 'SIGKILL', moments: said.split('\n').slice(0, point) };
}

/** The coordinator knows exactly one key, and the folder holds it: in its place, or as the one to come. */
function expectOneUsableKey({ server, folder, secret, old }: Awaited<ReturnType<typeof begin>>, when: string): void {
  const inPlace = hex(keysIn(folder, secret).identity.publicKey);
  const next = join(folder, 'next');
  const toCome = existsSync(join(next, 'identity.pem')) ? [hex(keysIn(next, secret).identity.publicKey)] : [];
  expect([inPlace, ...toCome], when).toContain(known(server));
  // whichever it was before the command got through: the old key in its place is the known one, or there is a next one
  if (inPlace === hex(old.publicKey) && known(server) !== inPlace) expect(toCome, when).toHaveLength(1);
}

describe('a key change', () => {
  test('is one key for another: budget, pins and protection stay, running tasks are left', async () => {
    const begun = await begin();
    const { server, folder, old } = begun;
    const said = await saying(() => rekey({ folder, json: true }));
    const { identity } = keysIn(folder);
    expect(hex(identity.publicKey)).not.toBe(hex(old.publicKey));
    expect(known(server)).toBe(hex(identity.publicKey));
    expect(JSON.parse(said)).toEqual({ tenant: 'ada', fingerprint: fingerprint(identity.publicKey) });
    expect(changes(server)).toEqual(['enrolled', 're-keyed']);
    expect(existsSync(join(folder, 'next'))).toBe(false);
    const store = openClientStore(storeFile(folder));
    expect([store.budget(), store.pinned('mine')]).toEqual([openBudget(limits), 'kept']);
    expect(store.pinned('declined/a-task')).toBe('policy');
    store.close();
    await saying(() => rekey({ folder }));
    expect(changes(server)).toEqual(['enrolled', 're-keyed', 're-keyed']);
  });

  test('that is killed at any moment leaves one usable key, and is finished by the same command', async () => {
    let moments: readonly string[] = [];
    for (let point = 1; ; point++) {
      const begun = await begin();
      const { server, folder, old } = begun;
      const death = await dieAt(point, [folder]);
      if (!death.killed) break;
      moments = death.moments;
      const when = `killed at moment ${point}: ${moments.at(-1)}`;
      expectOneUsableKey(begun, when);
      await saying(() => rekey({ folder }));
      expect(known(server), when).toBe(hex(keysIn(folder).identity.publicKey));
      expect(known(server), when).not.toBe(hex(old.publicKey));
      expect(changes(server), when).toEqual(['enrolled', 're-keyed']); // once, however often it was sent
      expect(existsSync(join(folder, 'next')), when).toBe(false);
      const store = openClientStore(storeFile(folder));
      expect(store.budget(), when).toEqual(openBudget(limits));
      store.close();
      await server.close();
    }
    // the last moments before the end were lived through, those that matter among them
    for (const what of ['mkdirSync', 'half a file', 'renameSync', 'sending', 'answered', 'rmSync'])
      expect(moments).toContain(what);
  }, 180_000);

  test('of a protected folder is protected as before, and opens the same store; killed, too', async () => {
    const secretFile = join(temporaryFolder(), 'secret');
    writeKeyFile(secretFile);
    const begun = await begin(secretFile);
    const { server, folder, secret } = begun;
    // when the coordinator has heard it, and nothing has come of that here
    const { moments } = await dieAt(10_000, [(await begin(secretFile)).folder, secretFile]);
    const answered = moments.lastIndexOf('answered') + 1;
    expect((await dieAt(answered, [folder, secretFile])).killed).toBe(true);
    expect(changes(server)).toEqual(['enrolled', 're-keyed']);
    expectOneUsableKey(begun, 'answered');
    await saying(() => rekey({ folder, keyFile: secretFile }));
    const keys = keysIn(folder, secret);
    expect(known(server)).toBe(hex(keys.identity.publicKey));
    expect(() => keysIn(folder)).toThrow('is protected by a key file');
    const store = openClientStore(storeFile(folder), keys.storeKey);
    expect([store.budget(), store.pinned('mine')]).toEqual([openBudget(limits), 'kept']);
    store.close();
  });

  test('is not believed without the coordinator’s receipt: the old key stays in its place', async () => {
    const { server, folder, old } = await begin();
    const ask = globalThis.fetch;
    const forged = vi.spyOn(globalThis, 'fetch').mockImplementation(async (url, init) => {
      if (!String(url).endsWith('/notices')) return ask(url, init);
      // somebody on the wire, who has a receipt of another notice
      const notice = { kind: 'erasure', tenant: 'ada', key: hex(old.publicKey), nonce: '1'.repeat(64) } as const;
      const body = JSON.stringify(signNotice(notice, server.coordinator.federation, old.sign));
      return ask(url, { ...init!, body });
    });
    await expect(rekey({ folder })).rejects.toThrow('answered without a receipt of the coordinator');
    forged.mockRestore();
    expect(hex(keysIn(folder).identity.publicKey)).toBe(hex(old.publicKey));
    expect(known(server)).toBe(hex(old.publicKey));
    await saying(() => rekey({ folder }));
    expect(known(server)).toBe(hex(keysIn(folder).identity.publicKey));
  });

  test('of a key that was revoked takes a code, used up or not', async () => {
    const { server, folder, old } = await begin();
    server.coordinator.revoke('ada');
    await expect(rekey({ folder })).rejects.toThrow('not an enrolled tenant, or not its key');
    const code = server.coordinator.enrolment.invite('ada');
    const next: Identity = keysIn(join(folder, 'next')).identity; // made by the first try, and kept
    await saying(() => rekey({ folder, code }));
    expect(known(server)).toBe(hex(next.publicKey));
    expect(hex(keysIn(folder).identity.publicKey)).toBe(known(server));
    expect(changes(server)).toEqual(['enrolled', 'revoked', 'enrolled']);
    const last = JSON.parse(server.coordinator.store.ledger(0).at(-1)!);
    expect(last).toMatchObject({ key: known(server), replaces: hex(old.publicKey) });
  });

  test('with a code that was used when the answer was lost is finished with the same code', async () => {
    const { server, folder } = await begin();
    server.coordinator.revoke('ada');
    const code = server.coordinator.enrolment.invite('ada');
    const ask = globalThis.fetch;
    const cut = vi.spyOn(globalThis, 'fetch').mockImplementation(async (url, init) => {
      const answer = await ask(url, init);
      if (String(url).endsWith('/enrolments')) throw new TypeError('connection lost');
      return answer;
    });
    await expect(rekey({ folder, code })).rejects.toThrow('nobody answers');
    cut.mockRestore();
    await saying(() => rekey({ folder, code }));
    expect(known(server)).toBe(hex(keysIn(folder).identity.publicKey));
    expect(changes(server)).toEqual(['enrolled', 'revoked', 'enrolled']);
  });

  test('does not begin beside a running client, or without a key', async () => {
    const { folder, server, old } = await begin();
    const running = openClientStore(storeFile(folder));
    await expect(rekey({ folder })).rejects.toThrow('another client runs on this folder');
    running.close();
    expect(known(server)).toBe(hex(old.publicKey));
    const empty = temporaryFolder();
    writeFileSync(policyFile(empty), '{}');
    await expect(rekey({ folder: empty })).rejects.toThrow('policy.json: tenant');
  });
});

import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { IssuerUnavailable, type OidcSettings, openPeople, readOidc } from '../../../coordinator/access/oidc.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { bearer, startServer } from '../../support/serving.ts';

/** An issuer as they are: discovery and keys over HTTP, tokens signed with a key of its own. */
interface Issuer {
  readonly url: string;
  keys: { readonly kid: string; readonly publicKey: KeyObject; readonly privateKey: KeyObject }[];
  /** requests for keys so far */
  asked: number;
  /** what discovery says the issuer is; its own url when left out */
  saysItIs: string | undefined;
  isDown: boolean;
  readonly server: Server;
}

const newKey = (kid: string) => ({ kid, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) });

async function startIssuer(): Promise<Issuer> {
  const server = createServer((request, reply) => {
    if (issuer.isDown) return reply.writeHead(503).end();
    const send = (value: object) =>
      reply.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (request.url === '/.well-known/openid-configuration')
      return send({ issuer: issuer.saysItIs ?? issuer.url, jwks_uri: `${issuer.url}/keys` });
    issuer.asked += 1;
    return send({ keys: issuer.keys.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), kid })) });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer: Issuer = { url, keys: [newKey('first')], asked: 0, saysItIs: undefined, isDown: false, server };
  return issuer;
}

const NOW = 1_700_000_000_000;
let issuer: Issuer;
let other: Issuer;
let settings: OidcSettings;
beforeAll(async () => {
  [issuer, other] = [await startIssuer(), await startIssuer()];
  settings = {
    ...{ issuer: issuer.url, audience: 'parley', claim: 'groups' },
    roles: { 'parley-operators': 'operator', 'parley-auditors': 'auditor' },
  };
});
afterAll(() => {
  for (const { server } of [issuer, other]) server.close();
});
beforeEach(() => {
  Object.assign(issuer, { isDown: false, saysItIs: undefined, keys: [issuer.keys[0]!], asked: 0 });
});

const claims = (): JWTPayload => ({
  ...{ iss: issuer.url, aud: 'parley', sub: 'auth|anna', groups: ['staff', 'parley-auditors'] },
  ...{ iat: NOW / 1000 - 10, exp: NOW / 1000 + 600 },
});
const signed = (payload: JWTPayload = claims(), key = issuer.keys[0]!): Promise<string> =>
  new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid: key.kid }).sign(key.privateKey);
const people = (cooldownMs?: number) => openPeople(settings, () => NOW, cooldownMs);

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

test('a token of the issuer says who it is, and its groups give the role that may do most', async () => {
  expect(await people().bearerOf(await signed())).toEqual({ role: 'auditor', holder: 'auth|anna', issuer: issuer.url });
  const groups = ['parley-auditors', 'parley-operators'];
  expect(await people().bearerOf(await signed({ ...claims(), groups }))).toMatchObject({ role: 'operator' });
  expect(await people().bearerOf(await signed({ ...claims(), groups: 'parley-operators' }))).toMatchObject({
    role: 'operator',
  });
});

test('whoever is in no group of ours has no role', async () => {
  for (const groups of [
    [],
    ['staff'],
    [['parley-operators']],
    'constructor',
    ['__proto__'],
    7,
    { 'parley-operators': true },
    undefined,
  ])
    expect(await people().bearerOf(await signed({ ...claims(), groups })), String(groups)).toBe('no-role');
});

describe('a token counts for nothing', () => {
  const from = (changed: object) => () => signed({ ...claims(), ...changed });
  test.each<[string, () => Promise<string> | string]>([
    ['of another issuer', () => signed({ ...claims(), iss: other.url }, other.keys[0]!)],
    ['that says it is of the issuer, signed by another', () => signed(claims(), { ...other.keys[0]!, kid: 'first' })],
    ['for another audience', from({ aud: 'payroll' })],
    ['without an audience', from({ aud: undefined })],
    ['that has expired', from({ exp: NOW / 1000 - 3600 })],
    ['that never expires', from({ exp: undefined })],
    ['of a time to come', from({ nbf: NOW / 1000 + 3600 })],
    ['of nobody', from({ sub: undefined })],
    ['that nobody signed (alg none)', () => `${part({ alg: 'none' })}.${part(claims())}.`],
    [
      'signed with the public key as if it were a secret (HS256)',
      () => {
        const { kid, publicKey } = issuer.keys[0]!;
        const text = `${part({ alg: 'HS256', kid })}.${part(claims())}`;
        const pem = publicKey.export({ type: 'spki', format: 'pem' });
        return `${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`;
      },
    ],
    [
      'whose claims were changed',
      async () => {
        const [head, , signature] = (await signed()).split('.');
        return `${head}.${part({ ...claims(), groups: ['parley-operators'] })}.${signature}`;
      },
    ],
    [
      'that brings its own key',
      async () => {
        const own = newKey('own');
        const jwk = own.publicKey.export({ format: 'jwk' });
        return new SignJWT(claims()).setProtectedHeader({ alg: 'ES256', kid: 'own', jwk }).sign(own.privateKey);
      },
    ],
    ['that is none', () => 'a.b.c'],
  ])('%s', async (_, made) => {
    const jwt = await made();
    expect(await people().bearerOf(jwt)).toBeUndefined();
  });
});

test('keys are fetched when first needed, kept, and fetched again when the issuer has a new one', async () => {
  const all = people(0);
  expect(issuer.asked).toBe(0);
  await all.bearerOf(await signed());
  await all.bearerOf(await signed());
  expect(issuer.asked).toBe(1);
  const next = newKey('second');
  issuer.keys = [next];
  expect(await all.bearerOf(await signed(claims(), next))).toMatchObject({ holder: 'auth|anna' });
  expect(issuer.asked).toBe(2);
});

test('a key that was taken out of the set opens nothing once the set is read again', async () => {
  const all = people(0);
  const old = issuer.keys[0]!;
  const next = newKey('second');
  issuer.keys = [next];
  expect(await all.bearerOf(await signed(claims(), next))).toMatchObject({ role: 'auditor' });
  expect(await all.bearerOf(await signed(claims(), old))).toBeUndefined();
  issuer.keys = [old];
});

test('tokens with unknown keys do not make us ask the issuer without end', async () => {
  const all = people();
  await all.bearerOf(await signed());
  for (let i = 0; i < 5; i++) await all.bearerOf(await signed(claims(), newKey(`made up ${i}`)));
  expect(issuer.asked).toBe(1);
  issuer.asked = 0;
  await people().bearerOf(await signed({ ...claims(), iss: other.url }, other.keys[0]!));
  expect([issuer.asked, other.asked]).toEqual([0, 0]);
});

describe('an issuer that does not answer', () => {
  test('is said to, and is asked again the next time', async () => {
    const all = people();
    issuer.isDown = true;
    await expect(all.bearerOf(await signed())).rejects.toThrow(IssuerUnavailable);
    issuer.isDown = false;
    expect(await all.bearerOf(await signed())).toMatchObject({ role: 'auditor' });
  });

  test('or is another one by its own configuration, is not believed', async () => {
    issuer.saysItIs = other.url;
    await expect(people().bearerOf(await signed())).rejects.toThrow(IssuerUnavailable);
  });
});

describe('over HTTP, people who sign in elsewhere', () => {
  const withPeople = async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'oidc.json'), JSON.stringify(settings));
    const server = await startServer(folder);
    const exp = Math.floor(Date.now() / 1000) + 600;
    const jwt = (groups: string[], sub = 'auth|anna') => signed({ ...claims(), exp, groups, sub });
    return { server, jwt };
  };

  test('do what their groups may; without one of ours they are known, and may nothing', async () => {
    const { server, jwt } = await withPeople();
    const status = async (groups: string[], path: string) =>
      (await server.get(path, { headers: bearer(await jwt(groups)) })).status;
    expect(await status(['parley-auditors'], '/ledger')).toBe(200);
    expect(await status(['parley-auditors'], '/tokens')).toBe(403);
    expect(await status(['parley-operators'], '/tokens')).toBe(200);
    expect(await status(['staff'], '/ledger')).toBe(403);
    expect(await status(['staff'], '/healthz')).toBe(200);
  });

  test('are shut out with 503 while their issuer does not answer; tokens of the coordinator go on', async () => {
    const { server, jwt } = await withPeople();
    issuer.isDown = true;
    const headers = bearer(await jwt(['parley-auditors']));
    const answer = await server.get('/ledger', { headers });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '30']);
    expect((await server.get('/healthz', { headers })).status).toBe(200);
    expect((await server.get('/ledger')).status).toBe(200);
  });

  test('approve as anybody does, and stand in the ledger under a pseudonym', async () => {
    const { server, jwt } = await withPeople();
    const put = { method: 'PUT', headers: { 'content-type': 'application/json', ...bearer(server.token) } };
    await server.get('/approval-rule', { ...put, body: '{"approvals":2}' });
    const [anna, ben] = [await jwt(['parley-operators']), await jwt(['parley-operators'], 'ben')];
    for (const tenant of ['amber', 'blue']) {
      const asked = await server.post('/invitations', { tenant }, anna);
      expect(asked.status).toBe(202);
      const { pending } = (await asked.json()) as { pending: string };
      const approve = (by?: string) => server.post(`/approvals/${pending}/approve`, {}, by);
      expect((await approve(anna)).status).toBe(409);
      // the token in the folder may be Anna's
      const mixed = await approve();
      expect([mixed.status, await mixed.text()]).toEqual([409, expect.stringContaining('two who hold tokens must')]);
      expect((await approve(ben)).status).toBe(200);
    }
    const text = await (await server.get('/ledger')).text();
    const { entries } = JSON.parse(text) as { entries: { kind: string; by: string[] }[] };
    const [first, second] = entries.filter(({ kind }) => kind === 'approved').map(({ by }) => by);
    expect(first).toEqual(Array(2).fill(expect.stringMatching(/^[0-9a-f]{16}$/)));
    expect(new Set(first).size).toBe(2);
    expect(second).toEqual(first); // one person, one pseudonym
    expect(text).not.toMatch(/anna|ben/);
  });
});

describe('oidc.json', () => {
  const written = (value: unknown): string => {
    const file = join(temporaryFolder(), 'oidc.json');
    writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
    return file;
  };

  test('is read, or is not there', () => {
    expect(readOidc(written(settings))).toEqual(settings);
    expect(readOidc(join(temporaryFolder(), 'oidc.json'))).toBeUndefined();
  });

  test('with a mistake in it is named by file and field', () => {
    expect(() => readOidc(written('{'))).toThrow(/oidc\.json: not JSON/);
    expect(() => readOidc(written({ ...settings, roles: { staff: 'admin' } }))).toThrow(/oidc\.json: roles\.staff: /);
    expect(() => readOidc(written({ ...settings, audiense: 'x' }))).toThrow(/oidc\.json: \(top\): /);
    // anybody on the way could bring keys of his own
    expect(() => readOidc(written({ ...settings, issuer: 'http://sso.example.org' }))).toThrow('reached by https');
  });
});

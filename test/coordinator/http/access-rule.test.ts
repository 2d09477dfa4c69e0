import { once } from 'node:events';
import { connect } from 'node:net';
import Fastify from 'fastify';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createIdentity, fingerprint, type Identity } from '../../../aggregation/identity.ts';
import { signRead } from '../../../aggregation/signed-read.ts';
import { newToken } from '../../../coordinator/access/new-token.ts';
import { demandAccess } from '../../../coordinator/http/access-rule.ts';
import { bearer, enrolOverHttp, startServer } from '../../support/serving.ts';

const TASK = 'ab'.repeat(32);
const ID = 'ab'.repeat(8);

/** Every route, and who gets past its door. A route that is not in here fails the test below. */
const READERS = ['auditor', 'tenant', 'operator'];
const ALL = ['nobody', 'consumer', ...READERS];
const ROUTES: readonly (readonly [string, string, readonly string[]])[] = [
  ['get', '/healthz', ALL],
  ['get', '/readyz', ALL],
  ['get', '/federation', ALL],
  ['post', '/enrolments', ALL],
  ['post', '/notices', ALL],
  ['get', '/tasks', ['consumer', ...READERS]],
  ['get', '/tasks/{task}/result', ['consumer', ...READERS]],
  ['get', '/tasks/{task}/model/model.json', ['consumer', ...READERS]],
  ['get', '/tasks/{task}/model/weights.bin', ['consumer', ...READERS]],
  ['get', '/parameters/{hash}', ['consumer', ...READERS]],
  ['get', '/tasks/{task}', READERS],
  ['get', '/tasks/{task}/plan', READERS],
  ['get', '/tasks/{task}/rounds', READERS],
  ['get', '/ledger', READERS],
  ['get', '/checkpoint', READERS],
  ['get', '/tile/{*}', READERS],
  ['get', '/approval-rule', READERS],
  ['get', '/metrics', ['auditor', 'operator']],
  ['post', '/tasks', ['operator']],
  ['post', '/tasks/{task}/stop', ['operator']],
  ['post', '/invitations', ['operator']],
  ['post', '/tenants/{tenant}/revoke', ['operator']],
  ['post', '/tenants/{tenant}/raise', ['operator']],
  ['post', '/backups', ['operator']],
  ['get', '/tokens', ['operator']],
  ['post', '/tokens', ['operator']],
  ['post', '/tokens/{id}/revoke', ['operator']],
  ['get', '/approvals', ['operator']],
  ['post', '/approvals/{id}/approve', ['operator']],
  ['post', '/approvals/{id}/reject', ['operator']],
  ['put', '/approval-rule', ['operator']],
];
const OPEN_READING = ['/ledger', '/checkpoint', '/tile/{*}', '/tasks', '/parameters/{hash}'];

const pathOf = (path: string): string =>
  path
    .replace('{task}', TASK)
    .replace('{hash}', TASK)
    .replace('{id}', ID)
    .replace('{tenant}', 'nobody')
    .replace('{*}', '0/000');

/** A coordinator, and what one of each role shows for a path. */
async function withRoles(options = {}) {
  const server = await startServer(undefined, options);
  const { identity } = await enrolOverHttp(server, 'amber');
  const give = async (role: string, holder = role): Promise<string> => {
    const { token, id, secretHash } = newToken();
    const made = await server.post('/tokens', { id, secretHash, role, holder, days: 1 });
    expect(made.status, await made.clone().text()).toBe(200);
    return token;
  };
  const [auditor, consumer] = [await give('auditor'), await give('consumer')];
  const coordinator = fingerprint(server.coordinator.publicKey);
  const signing = (who: Identity, path: string, time = Date.now()) => ({
    authorization: signRead(who, { coordinator, path, time }),
  });
  const headersOf = (role: string, path: string): Record<string, string> =>
    ({
      ...{ nobody: {}, operator: bearer(server.token), auditor: bearer(auditor), consumer: bearer(consumer) },
      tenant: signing(identity, path),
    })[role]!;
  const ask = (method: string, path: string, headers: Record<string, string>): Promise<Response> => {
    const sent = method === 'get' ? {} : { body: '{}', headers: { 'content-type': 'application/json', ...headers } };
    return server.get(path, { headers, ...sent, method: method.toUpperCase() });
  };
  const as = (role: string, method: string, path: string) => ask(method, path, headersOf(role, path));
  return { server, identity, coordinator, auditor, consumer, give, signing, as, ask };
}

/** Not shut out at the door; what is behind it may refuse all the same. */
const isPast = async (answer: Response): Promise<boolean> =>
  !/"title":"Not (authorised|allowed)"/.test(await answer.text());

describe('every route', () => {
  test('is in the list above, and says in its description who may call it', async () => {
    const { server } = await withRoles();
    const { paths } = (await (await server.get('/docs/json')).json()) as {
      paths: Record<string, Record<string, { description: string; security: object[] }>>;
    };
    const found = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(found.sort()).toEqual(ROUTES.map(([method, path]) => `${method} ${path}`).sort());
    for (const [method, path, roles] of ROUTES) {
      const { description, security } = paths[path]![method]!;
      expect(security, path).toHaveLength(roles.includes('nobody') ? 0 : roles.includes('tenant') ? 2 : 1);
      expect(description, path).toMatch(roles.includes('nobody') ? /^For anyone\.$/ : /^For /);
    }
  });

  test('lets in those in the list, and nobody else', async () => {
    const { as } = await withRoles();
    for (const [method, path, roles] of ROUTES)
      for (const role of ALL) {
        // a tenant signs what it reads, and changes nothing over HTTP
        if (role === 'tenant' && method !== 'get') continue;
        const answer = await as(role, method, pathOf(path));
        const { status } = answer;
        const past = await isPast(answer);
        expect(past, `${role} ${method} ${path}: ${status}`).toBe(roles.includes(role));
        if (!past) expect(status, `${role} ${path}`).toBe(role === 'nobody' ? 401 : 403);
      }
  });

  test('that does not say who may call it is not registered', async () => {
    const app = Fastify();
    const callers = { callerOf: async () => ({ role: 'nobody' }) as const };
    demandAccess(app, { callers, openReading: false, openPages: ['/docs'] });
    app.get('/said', { config: { access: 'readable' } }, () => 'secret');
    app.get('/docs/page', () => 'a page');
    for (const path of ['/forgotten', '/docsx', '/'])
      expect(() => app.get(path, () => 'secret')).toThrow('does not say who may call it');
    expect((await app.inject('/said')).statusCode).toBe(401);
    expect((await app.inject({ method: 'HEAD', url: '/said' })).statusCode).toBe(401);
    expect((await app.inject('/docs/page')).statusCode).toBe(200);
    await app.close();
  });
});

describe('whoever shows nothing of worth', () => {
  test('is answered the same, whatever was wrong, and told how it could be right', async () => {
    const { server, auditor, ask } = await withRoles();
    const { token } = newToken();
    const revoked = auditor.slice(4, 20);
    await server.post(`/tokens/${revoked}/revoke`, {});
    const wrong = `${server.token.slice(0, -5)}AAAAA`;
    const answers = [];
    for (const shown of [token, wrong, auditor, 'x', 'a.b.c']) answers.push(await ask('get', '/ledger', bearer(shown)));
    answers.push(await ask('get', '/ledger', { authorization: 'Basic YTpi' }));
    answers.push(await ask('get', '/ledger', { authorization: 'Parley key="x"' }));
    const bodies = await Promise.all(answers.map((answer) => answer.text()));
    expect(new Set(bodies).size).toBe(1);
    for (const { status, headers } of answers) {
      expect(status).toBe(401);
      expect(headers.get('www-authenticate')).toBe('Bearer realm="parley", Parley realm="parley"');
    }
    const nobody = await ask('get', '/ledger', {});
    expect([nobody.status, nobody.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('Bearer')]);
    expect(await nobody.text()).toContain('--token-file');
  });

  test('is counted by the rate limit too', async () => {
    const { server } = await withRoles();
    const refused = await server.get('/ledger', {});
    expect(refused.headers.get('x-ratelimit-remaining')).not.toBeNull();
  });
});

test('a token is for a name of which people see everything', async () => {
  const { server } = await withRoles();
  const give = async (holder: string) => {
    const { id, secretHash } = newToken();
    return (await server.post('/tokens', { id, secretHash, role: 'auditor', holder, days: 1 })).status;
  };
  for (const seen of ['Zoë Müller-Ødegård', '王小明', "ops (nightly) #2 o'clock"])
    expect(await give(seen), seen).toBe(200);
  for (const unseen of ['', 'Anna\u001b[2K', 'Anna\n', 'Anna\u200b', 'Anna\u202e', 'Anna\u3164', 'Anna\u0000'])
    expect(await give(unseen), JSON.stringify(unseen)).toBe(400);
});

test('a token that is revoked while its request is on the way does nothing', async () => {
  const { server, give } = await withRoles();
  const stolen = await give('operator', 'Eve');
  const body = '{"tenant":"evil"}';
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write(
    `POST /invitations HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\nauthorization: Bearer ${stolen}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  const [first] = await once(socket, 'data');
  expect(String(first)).toContain('100 Continue'); // let in, so far
  await server.post(`/tokens/${stolen.slice(4, 20)}/revoke`, {});
  socket.write(body);
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toMatch(/^HTTP\/1.1 401 /);
  expect(server.coordinator.store.invitations().map(({ tenant }) => tenant)).not.toContain('evil');
});

describe('a tenant’s signature', () => {
  test('opens the very path it was made for, for five minutes, for reading', async () => {
    const { identity, signing, ask } = await withRoles();
    const at = (path: string, time?: number) => signing(identity, path, time);
    expect((await ask('get', '/ledger', at('/ledger'))).status).toBe(200);
    expect((await ask('get', '/ledger?x=1', at('/ledger'))).status).toBe(401);
    expect((await ask('get', '/checkpoint', at('/ledger'))).status).toBe(401);
    expect((await ask('post', '/invitations', at('/invitations'))).status).toBe(401);
    expect((await ask('get', '/ledger', at('/ledger', Date.now() - 4 * 60_000))).status).toBe(200);
    for (const minutes of [-6, 6]) {
      const answer = await ask('get', '/ledger', at('/ledger', Date.now() + minutes * 60_000));
      expect([answer.status, await answer.text()]).toEqual([401, expect.stringContaining(`${minutes} minutes ahead`)]);
    }
  });

  test('is of a key in the roster, for this coordinator', async () => {
    const { server, identity, signing, ask } = await withRoles();
    expect((await ask('get', '/ledger', signing(createIdentity(), '/ledger'))).status).toBe(401);
    const elsewhere = signRead(identity, { coordinator: 'another', path: '/ledger', time: Date.now() });
    expect((await ask('get', '/ledger', { authorization: elsewhere })).status).toBe(401);
    server.coordinator.revoke('amber');
    expect((await ask('get', '/ledger', signing(identity, '/ledger'))).status).toBe(401);
  });
});

test('who is in the federation is told to those who are in it, and those who watch it', async () => {
  const { as } = await withRoles();
  const told = async (role: string) => 'tenants' in ((await (await as(role, 'get', '/federation')).json()) as object);
  expect(await Promise.all(ALL.map(told))).toEqual([false, false, true, true, true]);
});

test('with open reading, ledger and results are for everybody, and nothing else is', async () => {
  const { as } = await withRoles({ openReading: true });
  for (const [method, path, roles] of ROUTES.filter(([method]) => method === 'get')) {
    const isOpen = roles.includes('nobody') || OPEN_READING.includes(path) || /result|model/.test(path);
    expect(await isPast(await as('nobody', method, pathOf(path))), path).toBe(isOpen);
  }
});

describe('tokens over HTTP', () => {
  test('are listed without anything that opens, and each role stays within its bounds', async () => {
    const { server, auditor, consumer } = await withRoles();
    const text = await (await server.get('/tokens')).text();
    expect(JSON.parse(text)).toMatchObject([{ holder: 'operator' }, { holder: 'auditor' }, { holder: 'consumer' }]);
    expect(text).not.toMatch(/secret|hash/i);
    for (const token of [server.token, auditor, consumer]) expect(text).not.toContain(token.slice(-43));
    expect(server.log.join('')).not.toContain(auditor.slice(-43));
  });

  test('are made with a role there is, for a year at most', async () => {
    const { server } = await withRoles();
    const { id, secretHash } = newToken();
    const good = { id, secretHash, role: 'auditor', holder: 'Anna', days: 365 };
    for (const bad of [{ role: 'root' }, { days: 366 }, { days: 0 }, { id: 'x' }, { secretHash: '' }, { holder: '' }])
      expect((await server.post('/tokens', { ...good, ...bad })).status).toBe(400);
    expect((await server.post('/tokens', good)).status).toBe(200);
    expect((await server.post('/tokens', good)).status).toBe(409);
  });
});

import { inTests, type Mutation } from '../mutation.ts';

const TOKENS = 'test/coordinator/access/tokens.test.ts';
const APPROVALS = 'test/coordinator/access/approvals.test.ts';
const PEOPLE = 'test/coordinator/access/oidc.test.ts';
const ROUTES = 'test/coordinator/http/access-rule.test.ts';
const VERIFIED = 'test/aggregation/verify-approvals.test.ts';

/** What would let somebody do over HTTP what is not theirs to do. */
export const access: readonly Mutation[] = [
  {
    name: 'access-secret-not-compared',
    why: 'ids of tokens are no secret: they stand in the ledger',
    file: 'coordinator/access/tokens.ts',
    find: '!isSame || ',
    replace: '',
    caughtBy: [inTests(TOKENS)],
  },
  {
    name: 'access-revoked-token-opens',
    why: 'a token that was stolen goes on',
    file: 'coordinator/access/tokens.ts',
    find: 'revokedAt === null && expiresAt > clock()',
    replace: 'expiresAt > clock()',
    caughtBy: [inTests(TOKENS)],
  },
  {
    name: 'access-revoked-token-approves',
    why: 'what a thief asked for needs one honest person only',
    file: 'coordinator/access/tokens.ts',
    find: 'return stored !== undefined && isOfNow(stored);',
    replace: 'return true;',
    caughtBy: [inTests(APPROVALS)],
  },
  {
    name: 'access-unknown-token-approves',
    why: 'a token that is gone with a store that was put back counts as a person',
    file: 'coordinator/access/tokens.ts',
    find: 'return stored !== undefined && isOfNow(stored);',
    replace: 'return stored === undefined || isOfNow(stored);',
    caughtBy: [inTests(TOKENS), inTests(APPROVALS)],
  },
  {
    name: 'access-one-person-approves-twice',
    why: 'two tokens of one person are not two people',
    file: 'coordinator/access/approvals.ts',
    find: 'personOf(before) === personOf(now)',
    replace: 'before.id === now.id',
    caughtBy: [inTests(APPROVALS)],
  },
  {
    name: 'access-token-and-sign-in-are-two',
    why: 'who has a token and an account approves alone what needs two',
    file: 'coordinator/access/approvals.ts',
    find: 'if (before.issuer !== now.issuer)',
    replace: 'if (false)',
    caughtBy: [inTests(PEOPLE)],
  },
  {
    name: 'access-approved-act-stays',
    why: 'after a restart it could be done once more',
    file: 'coordinator/access/approvals.ts',
    find: '        store.dropPendingAct(id);\n        const body',
    replace: '        const body',
    caughtBy: [inTests(APPROVALS)],
  },
  {
    name: 'access-rule-forgotten',
    why: 'a restart would lower the rule that only two may lower',
    file: 'coordinator/access/approvals.ts',
    find: 'let needed = ruleIn(store);',
    replace: 'let needed = 1;',
    caughtBy: [inTests(APPROVALS)],
  },
  {
    name: 'access-old-codes-stay',
    why: 'codes of one person bring in tenants after the rule asks for two',
    file: 'coordinator/access/approvals.ts',
    find: 'if (approvals > needed) for',
    replace: 'if (false) for',
    caughtBy: [inTests(APPROVALS)],
  },
  {
    name: 'access-approval-used-twice',
    why: 'one approved invitation would cover every tenant of that name',
    file: 'aggregation/verify-approvals.ts',
    find: 'if (left > 0) unused.set(hash, left - 1);',
    replace: '',
    caughtBy: [inTests(VERIFIED)],
  },
  {
    name: 'access-any-algorithm',
    why: "with HS256 an issuer's public key is the secret that signs",
    file: 'coordinator/access/oidc.ts',
    find: 'audience, algorithms: ALGORITHMS,',
    replace: 'audience,',
    caughtBy: [inTests(PEOPLE)],
  },
  {
    name: 'access-any-audience',
    why: 'a token for another service of the same house would open this one',
    file: 'coordinator/access/oidc.ts',
    find: '{ issuer, audience, algorithms',
    replace: '{ issuer, algorithms',
    caughtBy: [inTests(PEOPLE)],
  },
  {
    name: 'access-signature-for-changes',
    why: 'a signature without a nonce could change something again',
    file: 'coordinator/access/callers.ts',
    find: "(method !== 'GET' && method !== 'HEAD')",
    replace: 'false',
    caughtBy: [inTests(ROUTES)],
  },
  {
    name: 'access-signature-for-ever',
    why: 'who saw one read could read for ever',
    file: 'coordinator/access/callers.ts',
    find: 'Math.abs(read.time - clock()) <= READ_WINDOW_MS',
    replace: 'true',
    caughtBy: [inTests(ROUTES)],
  },
  {
    name: 'access-forgotten-route-is-open',
    why: 'a new route that says nothing would be for everybody',
    file: 'coordinator/http/access-rule.ts',
    find: "(isPage ? 'anyone' : undefined)",
    replace: "'anyone'",
    caughtBy: [inTests(ROUTES)],
  },
];

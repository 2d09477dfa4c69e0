import { inTests, type Mutation } from '../mutation.ts';

const inAudit = (named: string) => inTests('test/simulation/audit/audit.test.ts', named);

/** Whether an audit would say so. */
export const audit: readonly Mutation[] = [
  {
    name: 'verdict-inverted',
    why: 'whoever reads PASS believes it',
    file: 'simulation/audit/audit.ts',
    find: "if (problems.length > 0) return { verdict: 'VIOLATION', reasons: problems };",
    replace: "if (problems.length === 0) return { verdict: 'VIOLATION', reasons: problems };",
    caughtBy: [inAudit('noise off'), 'audit'],
  },
  {
    name: 'lower-bound-not-compared',
    why: 'the attack’s own finding counts for nothing',
    file: 'simulation/audit/audit.ts',
    find: '  oneRun > release || fdp.mu > limit.mu;',
    replace: '  fdp.mu > 1e9 && oneRun > release && limit.mu > 0;',
    caughtBy: [inAudit('the attack by itself')],
  },
  {
    name: 'neighbours-not-compared',
    why: 'a customer that moves a sum too far goes unseen where the attack is too weak',
    file: 'simulation/audit/audit.ts',
    find: '    ...(moved <= allowed\n',
    replace: '    ...(moved <= 1e9 * allowed\n',
    caughtBy: [inAudit('clip off')],
  },
  {
    name: 'repeated-noise-not-found',
    why: 'rounds that share noise are subtracted from each other',
    file: 'simulation/audit/noise-check.ts',
    find: '  if (correlation > correlationLimit)\n',
    replace: '  if (correlation > 1e9)\n',
    caughtBy: [inTests('test/simulation/audit/noise-check.test.ts')],
  },
  {
    name: 'claim-not-compared',
    why: 'an ε that the noise does not give is believed',
    file: 'simulation/audit/claim.ts',
    find: 'return claimed >= low',
    replace: 'return claimed >= 0',
    caughtBy: [inAudit('too little noise for the ε')],
  },
];

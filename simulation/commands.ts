import type { Command } from 'commander';
import { positiveNumber, wholeNumber } from '../aggregation/command-options.ts';
import { CommandError, EXIT } from '../aggregation/exit.ts';

/*
 * What a researcher can type, or whoever plans a task. What a command does is loaded when it is called.
 */

/** `parley demo` */
export function demoCommand(program: Command, version: string): void {
  program
    .command('demo')
    .description('a whole federation on this machine: one coordinator and five business units, real customers')
    .option('--folder <folder>', 'where keys, ledgers and models go; must be new or empty', 'demo-run')
    .option('--secure-sum <protocol>', 'threshold-he, masking or lattice-mask', 'threshold-he')
    .option('--json', 'one JSON document at the end, nothing else on stdout')
    .addHelpText('after', '\nExample: parley demo')
    .action(async (options) => (await import('./demo-command.ts')).demo(options, version));
}

/** `parley privacy` */
export function privacyCommands(program: Command): void {
  const privacy = program.command('privacy').description('what a task would cost those it learns from');
  privacy
    .command('plan')
    .description('before anything runs: ε, noise, what an attacker could gain, and what other choices would change')
    .argument('<task>', 'task settings, JSON')
    .option('--tenants <number>', 'how many tenants', wholeNumber)
    .option('--sizes <list>', 'customers of each tenant, such as 1526,1223,1198; held-out ones included', wholeNumbers)
    .option('--unit <unit>', 'who is protected: customer, or tenant (a whole business unit)', 'customer')
    .option('--epsilon <number>', 'instead of the ε in the settings', positiveNumber)
    .option('--delta <number>', 'instead of the δ in the settings, below 1', fraction)
    .option('--rounds <number>', 'instead of the rounds in the settings', wholeNumber)
    .option(
      '--copies <number>',
      'tenants one customer may be a customer of, instead of tenantsPerCustomer',
      wholeNumber,
    )
    .option('--min-cohort <number>', 'fewest tenants a sum is opened over, instead of secureSum.minCohort', wholeNumber)
    .option('--colluders <number>', 'tenants that may collude, instead of secureSum.colluders', wholeNumber)
    .option('--svg <file>', 'write a picture: ε against rounds, and the best attack')
    .option('--json', 'every figure as JSON')
    .addHelpText('after', '\nExample: parley privacy plan churn.json --sizes 1526,1223,1198,2128,968 --svg plan.svg')
    .action(async (task, options) => (await import('./privacy-plan-command.ts')).planPrivacy(task, options));
}

/** `parley simulate` */
export function simulateCommand(program: Command): void {
  program
    .command('simulate')
    .description('the same coordinator and clients in one process: to size a plan before anyone commits to it')
    .argument('<settings>', 'task settings, JSON')
    .requiredOption('--tenants <number>', 'how many; the customers are dealt out among them', wholeNumber)
    .option('--data <file>', 'CSV or Parquet file of customers; the telco example when left out')
    .option(
      '--secure-sum <protocol>',
      'threshold-he, masking, lattice-mask or plain, instead of the one in the settings; "plain" protects nobody',
    )
    .option('--backend <name>', 'tfjs-node-gpu, webgpu, wasm or cpu')
    .option('--json', 'the outcome as JSON')
    .addHelpText('after', '\nExample: parley simulate task.json --tenants 20 --secure-sum plain')
    .action(async (settings, options) => (await import('./simulate-command.ts')).simulate(settings, options));
}

/** `parley audit` */
export function auditCommand(program: Command): void {
  program
    .command('audit')
    .description('attack this code with the privacy settings of a task, and compare what is found with what is claimed')
    .argument('[settings]', 'task settings, JSON; the newest plan of --ledger when left out')
    .option('--ledger <export>', 'an export of the ledger: every ε in it is computed again')
    .option('--canaries <number>', 'customers to be found, 100 to 4096', wholeNumber, 1000)
    .option('--confidence <number>', 'of the lower bounds', Number, 0.95)
    .option('--rounds <number>', "instead of the task's own", wholeNumber)
    .option('--secure-sum <protocol>', 'of the federation that is attacked; noise does not depend on it', 'plain')
    .option('--backend <name>', 'tfjs-node-gpu, webgpu, wasm or cpu')
    .option('--svg <file>', "the attack's curve beside what the claim allows, as a picture")
    .option('--json', 'what was found as JSON')
    .addHelpText('after', '\nExample: parley audit churn.json --canaries 2000 --svg curve.svg')
    .action(async (settings, options) => (await import('./audit-command.ts')).auditTask(settings, options));
}

/** At least one, each at least 1. */
function wholeNumbers(text: string): readonly number[] {
  const values = text.split(',').map((one) => wholeNumber(one.trim() || '?'));
  if (values.includes(0)) throw new CommandError(EXIT.usage, `"${text}" lists a tenant without customers`);
  return values;
}

function fraction(text: string): number {
  const value = positiveNumber(text);
  if (value >= 1) throw new CommandError(EXIT.usage, `"${text}" is not below 1`);
  return value;
}

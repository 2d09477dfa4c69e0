import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { COORDINATOR, DEFAULT_URL, makesKeys, opensKeys, runs, wholeNumber } from '../aggregation/command-options.ts';
import { CommandError, EXIT } from '../aggregation/exit.ts';

/*
 * What an operator can type. What a command does is loaded when it is called.
 */

/** `parley coordinator` and what is below it. */
export function coordinatorCommands(program: Command, version: string): void {
  const coordinator = runs(makesKeys(program.command('coordinator')))
    .description('run the server of a federation')
    .enablePositionalOptions()
    .option('--folder <folder>', 'keys, ledger and facts', 'coordinator-data')
    .addOption(storeOption('ledger and facts in PostgreSQL instead, shared by coordinators with the same key'))
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on; 0 for any free one', wholeNumber, 7400)
    .option('--tls-cert <file>', 'certificate and those above it, PEM; read again when it changes, and on SIGHUP')
    .option('--tls-key <file>', 'its private key, PEM')
    .option('--trust-proxy <addresses>', 'TLS is spoken by a proxy at these addresses or CIDR blocks, comma-separated')
    .option('--insecure-plaintext', 'listen without TLS where others could read: for a network that is closed')
    .option('--open-reading', 'ledger, models and results for everybody, names of tenants in the ledger included')
    .option('--new-operator <name>', "another operator's token for this person, in the folder: where all were lost")
    .addHelpText('after', '\nExample: parley coordinator --folder /var/lib/parley --port 7400')
    .action(async (options) => (await import('./serve-command.ts')).runCoordinator(options, version));
  keepingCommands(coordinator, version);
}

/** What keeps a federation from being lost. */
function keepingCommands(coordinator: Command, version: string): void {
  const store = (command: Command, what: string): Command =>
    opensKeys(command)
      .option('--folder <folder>', what, 'coordinator-data')
      .addOption(storeOption('where ledger and facts are in PostgreSQL'))
      .option('--json', 'as JSON');
  store(coordinator.command('check'), "the coordinator's, or a backup")
    .description('read everything that is stored, change nothing, and say what holds; the coordinator must not run')
    .addHelpText('after', '\nExample: parley coordinator check --folder /var/lib/parley')
    .action(async (options) => (await import('./keeping/keeping-commands.ts')).check(options));
  store(coordinator.command('backup'), "the coordinator's; it may run")
    .description('copy everything into a folder, and check the copy')
    .option('--to <folder>', "to be made; in the coordinator's folder, under backups/, when left out")
    .option('--coordinator <url>', 'where the coordinator listens, if it runs', DEFAULT_URL)
    .addHelpText('after', '\nExample: parley coordinator backup --folder /var/lib/parley --to /backup/parley-monday')
    .action(async (options) => (await import('./keeping/keeping-commands.ts')).backup(options, version));
  store(coordinator.command('restore'), 'to be made')
    .description('a new folder from a backup, and from what tenants know that it does not; checked before and after')
    .argument('<backup>', 'its folder')
    .option('--ledger <export...>', "tenants' copies of the ledger: parley client ledger FILE")
    .option('--no-later-entries', 'nothing happened since the backup was made')
    .addHelpText(
      'after',
      '\nExample: parley coordinator restore /backup/parley-monday --folder new --ledger north.json south.json',
    )
    .action(async (backup, options) => (await import('./keeping/keeping-commands.ts')).restore(backup, options));
  coordinator
    .command('migrate')
    .description("take the store's file to another version of its schema, up or down; a copy is kept")
    .option('--folder <folder>', "the coordinator's; it must not run", 'coordinator-data')
    .requiredOption('--to <version>', 'the schema: 1, 2 …', wholeNumber)
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: parley coordinator migrate --folder /var/lib/parley --to 1')
    .action(async (options) => (await import('./keeping/keeping-commands.ts')).migrateStore(options));
}

/** `parley tenant`, as far as the operator types it. @returns it, for what tenants do */
export function tenantCommands(program: Command): Command {
  const tenant = program.command('tenant').description('invite tenants, compare fingerprints');
  operator(tenant.command('invite'))
    .description('a one-time code for a business unit to join with')
    .argument('<name>', 'its name: a-z, 0-9 and -')
    .addHelpText('after', '\nExample: parley tenant invite fiber-monthly --folder coordinator-data')
    .action(async (name, options) => (await import('./tenant-commands.ts')).invite(name, options));
  operator(tenant.command('list'))
    .description('who is in the federation: fingerprint, since when, and whether its client is connected')
    .addHelpText('after', '\nExample: parley tenant list --folder coordinator-data')
    .action(async (options) => (await import('./tenant-commands.ts')).listTenants(options));
  operator(tenant.command('revoke'))
    .description('take away the key of a business unit: lost, stolen, or not to be trusted any more')
    .argument('<name>', 'its name')
    .addHelpText('after', '\nExample: parley tenant revoke fiber-monthly --folder coordinator-data')
    .action(async (name, options) => (await import('./tenant-commands.ts')).revoke(name, options));
  operator(tenant.command('raise'))
    .description('let a business unit have the higher budget that it asks for, where two people must approve that')
    .argument('<name>', 'its name')
    .addHelpText('after', '\nExample: parley tenant raise fiber-monthly --folder coordinator-data')
    .action(async (name, options) => (await import('./tenant-commands.ts')).raise(name, options));
  return tenant;
}

/** `parley task` */
export function taskCommands(program: Command): void {
  const task = program.command('task').description('check, start, watch and stop tasks');
  showsToken(task.command('check'))
    .description('what a plan would cost and need, before anything runs')
    .argument('<settings>', 'task settings, JSON')
    .option('--tenants <number>', 'roster size to assume', wholeNumber)
    .option('--coordinator <url>', 'take the roster of this coordinator')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: parley task check churn.json --tenants 5')
    .action(async (settings, options) => (await import('./task-commands.ts')).checkTask(settings, options));
  operator(task.command('start'))
    .description('sign a plan and propose it to every tenant')
    .argument('<settings>', 'task settings, JSON')
    .option('--watch', 'follow it to its end, whichever coordinator leads meanwhile')
    .addHelpText('after', '\nExample: parley task start churn.json --watch')
    .action(async (settings, options) => (await import('./task-commands.ts')).startTask(settings, options));
  operator(task.command('status'))
    .description('how a task stands; all of them when no id is given')
    .argument('[id]', 'task id, or the beginning of it')
    .option('--watch', 'follow it to its end, whichever coordinator leads meanwhile')
    .addHelpText('after', '\nExample: parley task status 3f2a --watch')
    .action(async (id, options) => (await import('./task-commands.ts')).taskStatus(id, options));
  operator(task.command('stop'))
    .description('stop a task; what it has charged stays charged')
    .argument('<id>', 'task id, or the beginning of it')
    .addHelpText('after', '\nExample: parley task stop 3f2a')
    .action(async (id, options) => (await import('./task-commands.ts')).stopTask(id, options));
}

/** `parley token` */
export function tokenCommands(program: Command): void {
  const token = program.command('token').description('who may read, watch and operate a coordinator over HTTP');
  operator(token.command('create'))
    .description('a token for a person or a program; shown once')
    .requiredOption('--role <role>', 'operator, auditor (reads everything) or consumer (models and results)')
    .requiredOption('--name <name>', 'whose it will be')
    .option('--days <number>', 'how long it counts, up to 365', wholeNumber, 90)
    .addHelpText('after', '\nExample: parley token create --role auditor --name "Anna Alt" --folder coordinator-data')
    .action(async (options) => (await import('./token-commands.ts')).createToken(options));
  operator(token.command('list'))
    .description('tokens that were handed out: whose, as what, until when')
    .addHelpText('after', '\nExample: parley token list --folder coordinator-data')
    .action(async (options) => (await import('./token-commands.ts')).listTokens(options));
  operator(token.command('revoke'))
    .description('let a token count no longer, from now on')
    .argument('<id>', 'what `parley token list` shows first')
    .addHelpText('after', '\nExample: parley token revoke 3f2a77c1d0e94b58')
    .action(async (id, options) => (await import('./token-commands.ts')).revokeToken(id, options));
}

/** `parley approvals` */
export function approvalCommands(program: Command): void {
  const approvals = program
    .command('approvals')
    .description('tasks, roster and tokens, where the federation asks two people');
  operator(approvals.command('list'))
    .description('what waits for approval')
    .addHelpText('after', '\nExample: parley approvals list')
    .action(async (options) => (await import('./approval-commands.ts')).listApprovals(options));
  operator(approvals.command('approve'))
    .description('show an act that waits, and approve it; what the last person approves is done at once')
    .argument('<id>', 'what `parley approvals list` shows first, or the beginning of it')
    .addHelpText('after', '\nExample: parley approvals approve 3f2a')
    .action(async (id, options) => (await import('./approval-commands.ts')).approve(id, options));
  operator(approvals.command('reject'))
    .description('drop an act that waits')
    .argument('<id>', 'what `parley approvals list` shows first, or the beginning of it')
    .addHelpText('after', '\nExample: parley approvals reject 3f2a')
    .action(async (id, options) => (await import('./approval-commands.ts')).reject(id, options));
  operator(approvals.command('rule'))
    .description('how many people must approve; another number is such an act itself')
    .argument('[people]', '1 or 2', wholeNumber)
    .addHelpText('after', '\nExample: parley approvals rule 2')
    .action(async (people, options) => (await import('./approval-commands.ts')).approvalRule(people, options));
}

/** Options of commands that show a token: an operator's where something changes. */
const operator = (command: Command): Command =>
  showsToken(command.option('--coordinator <url>', COORDINATOR, DEFAULT_URL)).option('--json', 'as JSON');

const showsToken = (command: Command): Command =>
  command
    .option('--token-file <file>', 'holds the token to show; or set PARLEY_TOKEN')
    .option('--folder <folder>', "the coordinator's folder, for the first operator's token", 'coordinator-data');

/** An address that holds a password belongs into no process list: it may stand in the environment, or in a file. */
const storeOption = (description: string): Option =>
  new Option('--store <url>', `${description}; postgres://…, or file:PATH of a file that holds it`)
    .env('PARLEY_STORE')
    .argParser(storeAddress);

function storeAddress(text: string): string {
  if (!text.startsWith('file:')) return text;
  const file = text.slice('file:'.length);
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new CommandError(
      EXIT.input,
      `--store ${text}: ${file} cannot be read (${(error as { code?: string }).code})`,
    );
  }
}

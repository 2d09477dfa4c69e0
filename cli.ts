import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { CommandError, EXIT, type ExitCode, isStorageError } from './aggregation/exit.ts';
import { plainText } from './aggregation/plain-text.ts';
import packageJson from './package.json' with { type: 'json' };

/**
 * `parley`: one command, each subcommand in the room it belongs to, loaded when it is called.
 */
export async function main(argv: readonly string[]): Promise<ExitCode> {
  const program = build();
  try {
    await program.parseAsync(argv as string[], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    return report(error, argv.includes('--json'));
  }
}

export const VERSION: string = packageJson.version;

const DEFAULT_URL = 'http://127.0.0.1:7400';
const PINS = "a client's folder: the fingerprints its policy pins; its key asks the coordinator";
const COORDINATOR = 'where the coordinator listens; several with commas: the one that leads is asked';

function build(): Command {
  const program = new Command('parley')
    .description('Train customer models together: no rows leave a business unit, every ε is accounted for.')
    .version(VERSION)
    .exitOverride()
    .enablePositionalOptions() // options belong to the command they follow: `client` would take the --json of `client init`
    .showHelpAfterError('(see --help)')
    .addHelpText('after', exitCodes);
  program
    .command('demo')
    .description('a whole federation on this machine: one coordinator and five business units, real customers')
    .option('--folder <folder>', 'where keys, ledgers and models go; must be new or empty', 'demo-run')
    .option('--secure-sum <protocol>', 'threshold-he, masking or lattice-mask', 'threshold-he')
    .option('--json', 'one JSON document at the end, nothing else on stdout')
    .addHelpText('after', '\nExample: parley demo')
    .action(async (options) => (await import('./simulation/demo-command.ts')).demo(options, VERSION));
  coordinatorCommands(program);
  tenantCommands(program);
  clientCommands(program);
  taskCommands(program);
  tokenCommands(program);
  approvalCommands(program);
  privacyCommands(program);
  ledgerCommands(program);
  reportCommand(program);
  keysCommands(program);
  program
    .command('predict')
    .description('score customers here, with a released model; no row leaves this machine')
    .requiredOption('--model <folder>', 'model folder of a training task')
    .option('--segments <folder>', 'model folder of a segmentation task: adds the segment')
    .option('--customer <json>', 'one customer as a JSON object')
    .option('--input <file>', 'CSV or Parquet file of customers')
    .option('--output <file>', 'CSV to write: the input with score and segment')
    .option('--backend <name>', 'tfjs-node-gpu, webgpu, wasm or cpu')
    .option('--json', 'answers as JSON')
    .addHelpText('after', '\nExample: parley predict --model models/churn --input customers.csv --output scored.csv')
    .action(async (options) => (await import('./client/predict-command.ts')).predict(options));
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
    .action(async (settings, options) =>
      (await import('./simulation/simulate-command.ts')).simulate(settings, options),
    );
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
    .action(async (settings, options) => (await import('./simulation/audit-command.ts')).auditTask(settings, options));
  for (const command of program.commands) inherit(command);
  takeCa(program);
  program.hook('preAction', async (_, action) => {
    const { tlsCa } = action.opts<{ tlsCa?: string }>();
    if (tlsCa !== undefined) (await import('./aggregation/trusted-ca.ts')).trustOnly(tlsCa);
  });
  program.hook('preAction', async (_, action) => {
    const { coordinator } = action.opts<{ coordinator?: unknown }>();
    if (typeof coordinator !== 'string' || !coordinator.includes(',')) return;
    const { readyAt } = await import('./aggregation/address.ts');
    action.setOptionValue('coordinator', await readyAt(coordinator.split(',')));
  });
  return program;
}

/** Subcommands throw instead of exiting, so that one place decides about codes. */
function inherit(command: Command): void {
  command.exitOverride();
  for (const inner of command.commands) inherit(inner);
}

/** Whatever asks a coordinator can be told which CA to trust. */
function takeCa(command: Command): void {
  for (const inner of command.commands) takeCa(inner);
  if (!command.options.some(({ long }) => long === '--coordinator')) return;
  command.addOption(
    new Option('--tls-ca <file>', "CA of the coordinator's certificate, where it is a private one").env(
      'PARLEY_TLS_CA',
    ),
  );
}

function coordinatorCommands(program: Command): void {
  const coordinator = makesKeys(program.command('coordinator'))
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
    .option(
      '--shutdown-seconds <number>',
      'time to finish what is in hand when told to end (SIGTERM)',
      positiveNumber,
      10,
    )
    .option('--open-reading', 'ledger, models and results for everybody, names of tenants in the ledger included')
    .option('--new-operator <name>', "another operator's token for this person, in the folder: where all were lost")
    .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
    .option('--json', 'log lines as JSON (they are when stdout is no terminal)')
    .addHelpText('after', '\nExample: parley coordinator --folder /var/lib/parley --port 7400')
    .action(async (options) => (await import('./coordinator/serve-command.ts')).runCoordinator(options, VERSION));
  keepingCommands(coordinator);
}

/** What keeps a federation from being lost. */
function keepingCommands(coordinator: Command): void {
  const store = (command: Command, what: string): Command =>
    opensKeys(command)
      .option('--folder <folder>', what, 'coordinator-data')
      .addOption(storeOption('where ledger and facts are in PostgreSQL'))
      .option('--json', 'as JSON');
  store(coordinator.command('check'), "the coordinator's, or a backup")
    .description('read everything that is stored, change nothing, and say what holds; the coordinator must not run')
    .addHelpText('after', '\nExample: parley coordinator check --folder /var/lib/parley')
    .action(async (options) => (await import('./coordinator/keeping/keeping-commands.ts')).check(options));
  store(coordinator.command('backup'), "the coordinator's; it may run")
    .description('copy everything into a folder, and check the copy')
    .option('--to <folder>', "to be made; in the coordinator's folder, under backups/, when left out")
    .option('--coordinator <url>', 'where the coordinator listens, if it runs', DEFAULT_URL)
    .addHelpText('after', '\nExample: parley coordinator backup --folder /var/lib/parley --to /backup/parley-monday')
    .action(async (options) => (await import('./coordinator/keeping/keeping-commands.ts')).backup(options, VERSION));
  store(coordinator.command('restore'), 'to be made')
    .description('a new folder from a backup, and from what tenants know that it does not; checked before and after')
    .argument('<backup>', 'its folder')
    .option('--ledger <export...>', "tenants' copies of the ledger: parley client ledger FILE")
    .option('--no-later-entries', 'nothing happened since the backup was made')
    .addHelpText(
      'after',
      '\nExample: parley coordinator restore /backup/parley-monday --folder new --ledger north.json south.json',
    )
    .action(async (backup, options) =>
      (await import('./coordinator/keeping/keeping-commands.ts')).restore(backup, options),
    );
  coordinator
    .command('migrate')
    .description("take the store's file to another version of its schema, up or down; a copy is kept")
    .option('--folder <folder>', "the coordinator's; it must not run", 'coordinator-data')
    .requiredOption('--to <version>', 'the schema: 1, 2 …', wholeNumber)
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: parley coordinator migrate --folder /var/lib/parley --to 1')
    .action(async (options) => (await import('./coordinator/keeping/keeping-commands.ts')).migrateStore(options));
}

function tenantCommands(program: Command): void {
  const tenant = program.command('tenant').description('invite tenants, compare fingerprints');
  operator(tenant.command('invite'))
    .description('a one-time code for a business unit to join with')
    .argument('<name>', 'its name: a-z, 0-9 and -')
    .addHelpText('after', '\nExample: parley tenant invite fiber-monthly --folder coordinator-data')
    .action(async (name, options) => (await import('./coordinator/operator-commands.ts')).invite(name, options));
  operator(tenant.command('revoke'))
    .description('take away the key of a business unit: lost, stolen, or not to be trusted any more')
    .argument('<name>', 'its name')
    .addHelpText('after', '\nExample: parley tenant revoke fiber-monthly --folder coordinator-data')
    .action(async (name, options) => (await import('./coordinator/operator-commands.ts')).revoke(name, options));
  opensKeys(tenant.command('fingerprint'))
    .description("this tenant's fingerprint, to read out to the others; makes the key when there is none")
    .option('--folder <folder>', "the client's folder", '.')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: parley tenant fingerprint --folder fiber-monthly')
    .action(async (options) => (await import('./client/client-commands.ts')).showFingerprint(options));
}

function clientCommands(program: Command): void {
  const client = opensKeys(program.command('client'))
    .description("run a tenant's client beside its data")
    .enablePositionalOptions()
    .option('--folder <folder>', 'policy.json, key, budget and models', '.')
    .option('--code <code>', 'one-time code, the first time')
    .option('--backend <name>', 'tfjs-node-gpu, webgpu, wasm or cpu; the best there is when left out')
    .option('--metrics-port <port>', 'serve /metrics and /healthz on 127.0.0.1; 0 for any free port', wholeNumber)
    .option(
      '--shutdown-seconds <number>',
      'time to finish what is in hand when told to end (SIGTERM)',
      positiveNumber,
      10,
    )
    .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
    .option('--json', 'log lines as JSON (they are when stdout is no terminal)')
    .addHelpText('after', '\nExample: parley client --folder fiber-monthly --code 3f2a-…')
    .action(async (options) => (await import('./client/client-commands.ts')).runClient(options, VERSION));
  makesKeys(client.command('init'))
    .description('write a key and a policy to start from')
    .requiredOption('--tenant <name>', 'the name you were invited under')
    .requiredOption('--coordinator <url>', 'where the coordinator listens; several of them with commas', addresses)
    .requiredOption('--fingerprint <fingerprint>', "the coordinator's, as the operator read it out")
    .requiredOption('--data <file>', 'CSV or Parquet file of your customers')
    .requiredOption('--schema <file>', 'the data contract: who a customer is, and which columns tasks may use')
    .option('--max-customers <number>', 'an upper bound on your customers that may be known', wholeNumber, 10_000)
    .option('--to <folder>', 'where to write', '.')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExample: parley client init --tenant fiber-monthly --coordinator http://10.0.0.7:7400 --fingerprint … --data customers.csv --schema schema.json --to fiber-monthly',
    )
    .action(async (options) => (await import('./client/client-commands.ts')).initClient(options));
  leavingCommands(client);
}

/** Keys, leaving, erasing, losing. The client itself must not run meanwhile: one budget, one process. */
function leavingCommands(client: Command): void {
  const inFolder = (command: Command): Command =>
    opensKeys(command).requiredOption('--folder <folder>', "the client's").option('--json', 'as JSON');
  inFolder(client.command('rekey'))
    .description('another key from now on; the budget stays. Interrupted, it goes on where it was')
    .option('--code <code>', 'a one-time code, where the old key was revoked')
    .addHelpText('after', '\nExample: parley client rekey --folder fiber-monthly')
    .action(async (options) => (await import('./client/rekey-command.ts')).rekey(options));
  inFolder(client.command('leave'))
    .description('leave the federation; what was released stays released')
    .addHelpText('after', '\nExample: parley client leave --folder fiber-monthly')
    .action(async (options) => (await import('./client/leave-command.ts')).leave(options));
  inFolder(client.command('erase'))
    .description('no longer use these customers, and say what released models still contain')
    .option('--customer <id...>', 'what stands in the customer column')
    .option(
      '--row <line...>',
      'where a row is a customer: its line in the file; rows with the same cells go with it',
      lines,
    )
    .option('--absent', 'their rows are out of the file already')
    .addHelpText('after', '\nExample: parley client erase --folder fiber-monthly --customer 7590-VHVEG')
    .action(async (options) => (await import('./client/erase-command.ts')).erase(options));
  inFolder(client.command('ledger'))
    .description("this tenant's own copy of the ledger, to be verified, or to restore a coordinator with")
    .argument('<file>', 'to be written; must not be there')
    .addHelpText('after', '\nExample: parley client ledger ledger.json --folder fiber-monthly')
    .action(async (file, options) => (await import('./client/own-ledger-command.ts')).ownLedger(file, options));
  client
    .command('migrate')
    .description("take the store's file to another version of its schema, up or down; a copy is kept")
    .requiredOption('--folder <folder>', "the client's; it must not run")
    .requiredOption('--to <version>', 'the schema: 1, 2 …', wholeNumber)
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: parley client migrate --folder fiber-monthly --to 1')
    .action(async (options) => (await import('./client/own-ledger-command.ts')).migrateClient(options));
  inFolder(client.command('restore-budget'))
    .description('where tenant.db is lost: count from the verified ledger, never less than was spent')
    .option('--ledger <export>', "an export, such as another tenant's; from the coordinator when left out")
    .addHelpText('after', '\nExample: parley client restore-budget --folder fiber-monthly')
    .action(async (options) => (await import('./client/restore-command.ts')).restoreBudget(options));
}

function taskCommands(program: Command): void {
  const task = program.command('task').description('check, start, watch and stop tasks');
  showsToken(task.command('check'))
    .description('what a plan would cost and need, before anything runs')
    .argument('<settings>', 'task settings, JSON')
    .option('--tenants <number>', 'roster size to assume', wholeNumber)
    .option('--coordinator <url>', 'take the roster of this coordinator')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: parley task check churn.json --tenants 5')
    .action(async (settings, options) =>
      (await import('./coordinator/operator-commands.ts')).checkTask(settings, options),
    );
  operator(task.command('start'))
    .description('sign a plan and propose it to every tenant')
    .argument('<settings>', 'task settings, JSON')
    .option('--watch', 'follow it to its end')
    .addHelpText('after', '\nExample: parley task start churn.json --watch')
    .action(async (settings, options) =>
      (await import('./coordinator/operator-commands.ts')).startTask(settings, options),
    );
  operator(task.command('status'))
    .description('how a task stands; all of them when no id is given')
    .argument('[id]', 'task id, or the beginning of it')
    .option('--watch', 'follow it to its end')
    .addHelpText('after', '\nExample: parley task status 3f2a --watch')
    .action(async (id, options) => (await import('./coordinator/operator-commands.ts')).taskStatus(id, options));
  operator(task.command('stop'))
    .description('stop a task; what it has charged stays charged')
    .argument('<id>', 'task id, or the beginning of it')
    .addHelpText('after', '\nExample: parley task stop 3f2a')
    .action(async (id, options) => (await import('./coordinator/operator-commands.ts')).stopTask(id, options));
}

function tokenCommands(program: Command): void {
  const token = program.command('token').description('who may read, watch and operate a coordinator over HTTP');
  operator(token.command('create'))
    .description('a token for a person or a program; shown once')
    .requiredOption('--role <role>', 'operator, auditor (reads everything) or consumer (models and results)')
    .requiredOption('--name <name>', 'whose it will be')
    .option('--days <number>', 'how long it counts, up to 365', wholeNumber, 90)
    .addHelpText('after', '\nExample: parley token create --role auditor --name "Anna Alt" --folder coordinator-data')
    .action(async (options) => (await import('./coordinator/token-commands.ts')).createToken(options));
  operator(token.command('list'))
    .description('tokens that were handed out: whose, as what, until when')
    .addHelpText('after', '\nExample: parley token list --folder coordinator-data')
    .action(async (options) => (await import('./coordinator/token-commands.ts')).listTokens(options));
  operator(token.command('revoke'))
    .description('let a token count no longer, from now on')
    .argument('<id>', 'what `parley token list` shows first')
    .addHelpText('after', '\nExample: parley token revoke 3f2a77c1d0e94b58')
    .action(async (id, options) => (await import('./coordinator/token-commands.ts')).revokeToken(id, options));
}

function approvalCommands(program: Command): void {
  const approvals = program
    .command('approvals')
    .description('tasks, roster and tokens, where the federation asks two people');
  operator(approvals.command('list'))
    .description('what waits for approval')
    .addHelpText('after', '\nExample: parley approvals list')
    .action(async (options) => (await import('./coordinator/approval-commands.ts')).listApprovals(options));
  operator(approvals.command('approve'))
    .description('show an act that waits, and approve it; what the last person approves is done at once')
    .argument('<id>', 'what `parley approvals list` shows first, or the beginning of it')
    .addHelpText('after', '\nExample: parley approvals approve 3f2a')
    .action(async (id, options) => (await import('./coordinator/approval-commands.ts')).approve(id, options));
  operator(approvals.command('reject'))
    .description('drop an act that waits')
    .argument('<id>', 'what `parley approvals list` shows first, or the beginning of it')
    .addHelpText('after', '\nExample: parley approvals reject 3f2a')
    .action(async (id, options) => (await import('./coordinator/approval-commands.ts')).reject(id, options));
  operator(approvals.command('rule'))
    .description('how many people must approve; another number is such an act itself')
    .argument('[people]', '1 or 2', wholeNumber)
    .addHelpText('after', '\nExample: parley approvals rule 2')
    .action(async (people, options) =>
      (await import('./coordinator/approval-commands.ts')).approvalRule(people, options),
    );
}

function privacyCommands(program: Command): void {
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
    .action(async (task, options) => (await import('./simulation/privacy-plan-command.ts')).planPrivacy(task, options));
}

function ledgerCommands(program: Command): void {
  const ledger = program.command('ledger').description('read and verify the ledger');
  const source = (command: Command): Command =>
    reads(command).argument('[file]', 'an export; read from the coordinator when left out');
  source(ledger.command('show'))
    .description('the entries, one line each')
    .addHelpText('after', '\nExample: parley ledger show')
    .action(async (file, options) => (await import('./client/ledger-commands.ts')).showLedger(file, options));
  reads(ledger.command('export'))
    .description('the whole ledger in a file that can be verified offline')
    .argument('<file>', 'to be written; must not be there')
    .addHelpText('after', '\nExample: parley ledger export ledger.json --folder north')
    .action(async (file, options) => (await import('./client/ledger-commands.ts')).exportLedger(file, options));
  reads(ledger.command('verify'), PINS)
    .argument('[file]', 'an export; read from the coordinator when left out')
    .description('check chain, tree, signatures, cosignatures and every charge, and compute every ε again; or a proof')
    .option('--fingerprint <fingerprint>', "the coordinator's, as you know it")
    .option('--roster <file>', 'keys as you know them, from `parley ledger roster`')
    .addHelpText('after', '\nExample: parley ledger verify ledger.json --folder north')
    .action(async (file, options) => (await import('./client/ledger-commands.ts')).verifyLedger(file, options));
  reads(ledger.command('prove'))
    .description('a proof that an entry is in the ledger, for someone who has not got the others')
    .argument('<entry>', 'its number', wholeNumber)
    .option('--file <export>', 'an export; read from the coordinator when left out')
    .option('--to <file>', 'to be written; printed when left out')
    .addHelpText('after', '\nExample: parley ledger prove 12 --to entry-12.proof')
    .action(async (entry, options) => (await import('./client/ledger-commands.ts')).proveEntry(entry, options));
  source(ledger.command('roster'))
    .description('keys of the coordinator and of the newest roster, to compare aloud and keep (C2SP tlog-policy)')
    .option('--to <file>', 'to be written; printed when left out')
    .addHelpText('after', '\nExample: parley ledger roster --to roster.txt')
    .action(async (file, options) => (await import('./client/ledger-commands.ts')).showRoster(file, options));
}

function reportCommand(program: Command): void {
  reads(program.command('report'), PINS)
    .description('what a period, and the whole ledger, tells about one customer: for whoever has to answer for it')
    .argument('[file]', 'an export; read from the coordinator when left out')
    .requiredOption('--period <period>', '2026, 2026-Q4, 2026-11 or all; days are in UTC')
    .option('--html <file>', 'a page to print or hand on; must not be there')
    .option('--registry <file>', 'YAML records for the registry of deployments (OpenDP, NIST); must not be there')
    .option('--audit <file>', 'what `parley audit --json` printed')
    .option('--fingerprint <fingerprint>', "the coordinator's, as you know it")
    .option('--roster <file>', 'keys as you know them, from `parley ledger roster`')
    .addHelpText('after', '\nExample: parley report ledger.json --period 2026-Q4 --html report.html --folder north')
    .action(async (file, options) => (await import('./client/report-command.ts')).report(file, options));
}

function keysCommands(program: Command): void {
  const keys = program
    .command('keys')
    .description("protect a folder's keys, and its budget, with a passphrase or a key file");
  const inFolder = (command: Command): Command =>
    opensKeys(command).requiredOption('--folder <folder>', "a client's or a coordinator's").option('--json', 'as JSON');
  inFolder(keys.command('protect'))
    .description('encrypt them, in place; afterwards nothing in the folder opens without')
    .addHelpText('after', '\nExample: parley keys protect --folder fiber-monthly')
    .action(async (options) => (await import('./client/keys-commands.ts')).protectKeys(options));
  inFolder(keys.command('unprotect'))
    .description('decrypt them, in place')
    .addHelpText('after', '\nExample: parley keys unprotect --folder fiber-monthly --key-file /etc/parley/key')
    .action(async (options) => (await import('./client/keys-commands.ts')).unprotectKeys(options));
  inFolder(keys.command('change-passphrase'))
    .description('another passphrase, from PARLEY_NEW_PASSPHRASE or the terminal; or a key file instead')
    .option('--new-key-file <file>', 'a key file, from now on')
    .addHelpText('after', '\nExample: parley keys change-passphrase --folder fiber-monthly')
    .action(async (options) => (await import('./client/keys-commands.ts')).changePassphrase(options));
  keys
    .command('new-key-file')
    .description('write 32 random bytes to a new file, for --key-file')
    .argument('<file>', 'must not exist')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: parley keys new-key-file /etc/parley/key')
    .action(async (file, options) => (await import('./client/keys-commands.ts')).newKeyFile(file, options));
}

/** Options of commands that open a folder's keys. A passphrase is no option: every process could read it. */
const opensKeys = (command: Command): Command =>
  command.option(
    '--key-file <file>',
    'what the keys are protected by; a passphrase is in PARLEY_PASSPHRASE, or asked for',
  );

/** Of commands that may be the first in their folder. */
const makesKeys = (command: Command): Command =>
  opensKeys(command).option('--protect', 'a new key is protected: asks for a passphrase when none is given');

/** Options of commands that show a token: an operator's where something changes. */
const operator = (command: Command): Command =>
  showsToken(command.option('--coordinator <url>', COORDINATOR, DEFAULT_URL)).option('--json', 'as JSON');

const showsToken = (command: Command): Command =>
  command
    .option('--token-file <file>', 'holds the token to show; or set PARLEY_TOKEN')
    .option('--folder <folder>', "the coordinator's folder, for the first operator's token", 'coordinator-data');

/** Options of commands that read for an auditor, who has a token, or for a tenant, which has its key. */
const reads = (command: Command, folder = "a client's folder: its key asks"): Command =>
  opensKeys(command)
    .option('--coordinator <url>', COORDINATOR, DEFAULT_URL)
    .option('--token-file <file>', 'holds the token to show; or set PARLEY_TOKEN')
    .option('--folder <folder>', folder)
    .option('--json', 'as JSON');

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

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new CommandError(EXIT.usage, `"${text}" is not a whole number`);
  return value;
}

/** One address, or several with one key behind them. */
const addresses = (text: string): string | readonly string[] => (text.includes(',') ? text.split(',') : text);

/** One after the other. */
const lines = (text: string, before: readonly number[] = []): readonly number[] => [...before, wholeNumber(text)];

/** At least one, each at least 1. */
function wholeNumbers(text: string): readonly number[] {
  const values = text.split(',').map((one) => wholeNumber(one.trim() || '?'));
  if (values.includes(0)) throw new CommandError(EXIT.usage, `"${text}" lists a tenant without customers`);
  return values;
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < Infinity)) throw new CommandError(EXIT.usage, `"${text}" is not a positive number`);
  return value;
}

function fraction(text: string): number {
  const value = positiveNumber(text);
  if (value >= 1) throw new CommandError(EXIT.usage, `"${text}" is not below 1`);
  return value;
}

function report(error: unknown, asJson: boolean): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const code = error instanceof CommandError ? error.code : codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (asJson) console.error(JSON.stringify({ error: message, exitCode: code }));
  else {
    const text = code === EXIT.failed && error instanceof Error ? (error.stack ?? message) : `parley: ${message}`;
    console.error(plainText(text)); // it may be a coordinator's words, and without TLS anybody's
  }
  return code;
}

/** Errors of the world outside, by what a person can do about them. */
function codeOf(error: unknown): ExitCode {
  if (isStorageError(error)) return EXIT.storage;
  const { code } = (error ?? {}) as { code?: string };
  if (code === 'EADDRINUSE' || code === 'ECONNREFUSED' || code === 'EACCES') return EXIT.network;
  if (code === 'ENOENT') return EXIT.input;
  return EXIT.failed;
}

const exitCodes = `
Exit codes: 0 done · 1 unexpected · 2 command line · 3 unreadable input (file, line, field) · 4 refused (plan, policy,
budget, code, version) · 5 network · 6 does not verify · 7 storage · 8 an audit that cannot tell`;

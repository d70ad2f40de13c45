/**
 * Writes test/examples/knownNodes.json: which versions of the nodes that the examples use exist in n8n, and which
 * parameters each of them has. `node scripts/known-nodes.mjs <node_modules of an installed n8n>`; the examples' test
 * checks against it, so that `npm test` does not need n8n.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const modules = process.argv[2];
if (modules === undefined)
	throw new Error('Usage: node scripts/known-nodes.mjs <node_modules of an installed n8n>');

const read = (...parts) => JSON.parse(readFileSync(path.join(...parts), 'utf8'));
const examples = readdirSync(path.join(root, 'examples')).filter((name) => name.endsWith('.json'));
const used = new Set(examples.flatMap((name) => read(root, 'examples', name).nodes.map(({ type }) => type)));

/** Names of parameters, and under each those of its options: `{ options: { attachments: {} } }`. */
function namesOf(properties) {
	const names = {};
	for (const { name, options, values } of properties ?? []) {
		if (name === undefined) continue;
		const inner = (options ?? values ?? []).filter(
			(option) => option.name !== undefined && !('value' in option),
		);
		names[name] = { ...names[name], ...namesOf(inner) };
	}
	return names;
}

const known = {};
for (const packageName of ['n8n-nodes-base', '@n8n/n8n-nodes-langchain']) {
	for (const node of read(modules, packageName, 'dist', 'types', 'nodes.json')) {
		const type = `${packageName}.${node.name}`;
		if (!used.has(type)) continue;
		for (const version of [node.version].flat()) {
			const applies = ({ displayOptions }) =>
				displayOptions?.show?.['@version']?.every?.((v) => v !== version) !== true ||
				typeof displayOptions.show['@version'][0] === 'object';
			known[type] ??= {};
			known[type][version] = namesOf(node.properties.filter(applies));
		}
	}
}
const { version } = read(modules, 'n8n', 'package.json');
writeFileSync(
	path.join(root, 'test', 'examples', 'knownNodes.json'),
	`${JSON.stringify({ n8n: version, nodes: known }, null, '\t')}\n`,
);
console.log(`${Object.keys(known).length} node types of n8n ${version}`);

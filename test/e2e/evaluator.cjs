// Evaluates saved parameters with the n8n-workflow that lies in a folder: node evaluator.cjs FOLDER ENGINE < parameters.json
const { createRequire } = require('node:module');
const { readFileSync } = require('node:fs');
const { Expression, Workflow } = createRequire(`${process.argv[2]}/n8n/package.json`)('n8n-workflow');

(async () => {
	const engine = process.argv[3];
	const limits = { bridgeTimeout: 5_000, bridgeMemoryLimit: 128, poolSize: 1, maxCodeCacheSize: 100 };
	if (engine !== 'legacy') await Expression.initExpressionEngine({ engine, ...limits });
	const type = { description: { properties: [] } };
	const workflow = new Workflow({
		nodes: [{ id: '1', name: 'A', type: 'a', typeVersion: 1, position: [0, 0], parameters: {} }],
		connections: {},
		active: false,
		nodeTypes: { getByName: () => type, getByNameAndVersion: () => type, getKnownTypes: () => ({}) },
	});
	const items = [{ json: { secret: 'a secret' } }];
	const evaluate = (saved) =>
		workflow.expression.getParameterValue({ saved }, null, 0, 0, 'A', items, 'internal', {}).saved;
	const all = async () => JSON.parse(readFileSync(0, 'utf8')).map(evaluate);
	const hasIsolates = engine !== 'legacy' && workflow.expression.withIsolate !== undefined;
	const values = hasIsolates ? await workflow.expression.withIsolate(all) : await all();
	const answer = JSON.stringify({ engine: Expression.getActiveImplementation?.() ?? 'legacy', values });
	process.stdout.write(answer, () => process.exit(0));
})();

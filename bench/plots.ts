import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

import type { Figures } from './main';
import { ONE_BY_ONE } from './measures/handBuilt';

/** The plots of docs/benchmarks.md, as SVG. */
export async function drawAll(figures: Figures): Promise<Record<string, string>> {
	const plots = { wall: wallPlot, schedules: schedulesPlot, cost: costPlot, growth: growthPlot };
	const drawn: Record<string, string> = {};
	for (const [name, plot] of Object.entries(plots)) {
		const spec = { background: 'white', padding: 12, config: CONFIG, ...plot(figures) } as TopLevelSpec;
		const view = new View(parse(compile(spec).spec), { renderer: 'none' });
		drawn[name] = `${await view.toSVG()}\n`;
		view.finalize();
	}
	return drawn;
}

const PINK = '#d6336c';
const COLORS = [PINK, '#1c7ed6', '#868e96', '#f08c00', '#5c940d', '#862e9c'];
const CONFIG = {
	font: 'Helvetica, Arial, sans-serif',
	axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: 'normal', gridColor: '#e8e8e8' },
	legend: { labelFontSize: 12, title: null, labelLimit: 500 },
	title: { fontSize: 14, anchor: 'start', offset: 14 },
	view: { stroke: null, continuousWidth: 420, continuousHeight: 300 },
};

function axis(field: string, title: string, scale = {}, values?: number[]): object {
	const ticks = values === undefined ? {} : { values, format: '~g' };
	return { field, type: 'quantitative', axis: { title, ...ticks }, scale };
}

/** Colors by name, in the order of the names. */
function colors(field: string, names: string[], range = COLORS, legend = {}): object {
	return { field, type: 'nominal', sort: names, scale: { domain: names, range }, legend };
}

function wallPlot({ wall, handBuilt }: Figures): object {
	const shown = wall.filter((one) => one.pollSeconds === 1 && !(one.variant === 'floor' && one.items > 100));
	const measured = shown.flatMap(({ variant, concurrency, items, overLongest: { median } }) => {
		// Up to ten items, ten at once and a hundred at once are the same.
		const slots = items <= 10 ? [10, 100] : [concurrency];
		const names = variant === 'this node' ? slots.map((count) => `${variant}, ${count} at once`) : [variant];
		return names.map((name) => ({ name, items, overLongest: median }));
	});
	const byHand = handBuilt.filter(({ variant }) => variant === ONE_BY_ONE);
	const values = [...measured, ...byHand.map((one) => ({ ...one, name: one.variant }))];
	const log = { type: 'log' };
	const x = axis('items', 'items', log, [1, 10, 100, 1000]);
	const y = axis('overLongest', 'wall time ÷ longest job', log, [1, 2, 5, 10, 20, 50, 100]);
	const color = colors('name', [...new Set(values.map(({ name }) => name))]);
	const mark = { type: 'line', point: { size: 60 } };
	return {
		title: 'Wall time, measured in the longest job',
		data: { values },
		mark,
		encoding: { x, y, color },
	};
}

function schedulesPlot({ schedules }: Figures): object {
	const values = schedules.map((one) => ({ ...one, percent: 100 * one.lateness }));
	const data = { values: values.filter(({ percent }) => percent <= 14) };
	const domain = { type: 'log', domain: [2, 60] };
	const x = axis('pollsPerJob', 'polls per job', domain, [2, 3, 4, 6, 8, 12, 20, 30, 60]);
	const y = axis('percent', 'mean lateness, % of the job', { domain: [0, 14] });
	const names = [...new Set(schedules.map(({ name }) => name))];
	const color = colors('name', names, [
		PINK,
		'#e599b8',
		'#868e96',
		'#1c7ed6',
		'#f08c00',
		'#5c940d',
		'#862e9c',
	]);
	const order = { field: 'intervalSeconds', type: 'quantitative' };
	const goal = {
		data: { values: [{ pollsPerJob: 2, to: 12, percent: 0, high: 4 }] },
		mark: { type: 'rect', color: '#2f9e44', opacity: 0.09 },
		encoding: { x, y, x2: { field: 'to' }, y2: { field: 'high' } },
	};
	const lines = { data, mark: { type: 'line', point: { size: 30 } }, encoding: { x, y, color, order } };
	const isDefault = [{ filter: 'datum.intervalSeconds === 1' }];
	const rings = { data, transform: isDefault, mark: { type: 'point', size: 160 }, encoding: { x, y, color } };
	return { title: 'When to poll: what fewer polls cost', layer: [goal, lines, rings] };
}

/** The node's CPU time beyond the floor: as many of n8n's requests as it makes, and the rest. */
function costPlot({ cost }: Figures): object {
	const [floor, callsOnly, , node] = cost;
	if (floor === undefined || callsOnly === undefined || node === undefined)
		throw new Error('Figures are missing');
	const parts = ['the floor', 'n8n’s own request, beyond the floor', 'the node: queue, waiting, items'];
	const [floorMs, nodeMs] = [floor.cpuMsPerItem.median, node.cpuMsPerItem.median];
	const callCount = node.pollsPerJob.median + 1;
	const requestsMs = nodeMs / node.callOverFirst.median - floorMs;
	const bars = {
		'floor (2 calls)': [floorMs],
		'n8n’s request (2 calls)': [floorMs, Math.max(0, callsOnly.cpuMsPerItem.median - floorMs)],
		[`this node (${callCount.toFixed(1)} calls)`]: [floorMs, requestsMs, nodeMs - floorMs - requestsMs],
	};
	const values = Object.entries(bars).flatMap(([name, sizes]) =>
		sizes.map((cpuMs, rank) => ({ name, part: parts[rank], cpuMs, rank })),
	);
	const encoding = {
		x: axis('cpuMs', 'milliseconds'),
		y: { field: 'name', type: 'nominal', sort: null, axis: { title: null, labelLimit: 260 } },
		color: colors('part', parts, ['#868e96', '#f08c00', PINK], { orient: 'bottom', columns: 1 }),
		order: { field: 'rank', type: 'quantitative' },
	};
	return { title: 'CPU time of one item', height: 120, data: { values }, mark: 'bar', encoding };
}

function growthPlot({ growth }: Figures): object {
	const values = growth.map(({ items, cpuMsPerItem, rssGrowthMegabytes }) => ({
		items,
		'CPU time, s': (items * cpuMsPerItem.median) / 1000,
		'growth of the resident set, MB': rssGrowthMegabytes.median,
	}));
	const mark = { type: 'line', color: PINK, point: { color: PINK, size: 50 } };
	const y = { field: { repeat: 'repeat' }, type: 'quantitative', scale: { domainMin: 0 } };
	const spec = { width: 260, height: 200, mark, encoding: { x: axis('items', 'items'), y } };
	const repeat = Object.keys(values[0] ?? {}).slice(1);
	return { title: 'What more items cost', data: { values }, repeat, spec };
}

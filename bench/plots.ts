import { compile, type TopLevelSpec } from 'vega-lite';
import { parse, View } from 'vega';

import type { CostResult } from './measures/cost';
import type { SchedulePoint } from './measures/schedules';

/** The pictures of docs/benchmarks.md, drawn by Vega. */

const LOOK = {
	background: 'white',
	padding: 12,
	config: {
		font: 'Helvetica, Arial, sans-serif',
		axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: 'normal' as const, gridColor: '#e8e8e8' },
		legend: { labelFontSize: 12, titleFontSize: 12, labelLimit: 320 },
		title: {
			fontSize: 14,
			anchor: 'start' as const,
			subtitleFontSize: 12,
			subtitleColor: '#555',
			offset: 14,
		},
		view: { stroke: null },
	},
};
const OURS = '#d6336c';
const COLORS = [OURS, '#1c7ed6', '#868e96', '#f08c00', '#5c940d', '#862e9c'];

async function draw(spec: TopLevelSpec): Promise<string> {
	const view = new View(parse(compile(spec).spec), { renderer: 'none' });
	const svg = await view.toSVG();
	view.finalize();
	return `${svg}\n`;
}

export interface WallPoint {
	contestant: string;
	items: number;
	overLongest: number;
}

/** Wall time over the longest job, by the number of items. */
export async function drawWall(points: WallPoint[], order: string[]): Promise<string> {
	const x = {
		field: 'items',
		type: 'quantitative' as const,
		scale: { type: 'log' as const },
		axis: { values: [1, 10, 100, 1000], title: 'items', format: 'd' },
	};
	const y = {
		field: 'overLongest',
		type: 'quantitative' as const,
		scale: { type: 'log' as const },
		axis: { values: [1, 2, 5, 10, 20, 50, 100], title: 'wall time ÷ longest job', format: '~g' },
	};
	const color = {
		field: 'contestant',
		type: 'nominal' as const,
		sort: order,
		scale: { domain: order, range: COLORS },
		legend: { title: null, orient: 'right' as const },
	};
	return await draw({
		...LOOK,
		title: {
			text: 'How long a run takes, measured in its longest job',
			subtitle: 'Jobs of 8 to 16 seconds. 1 means: as long as the slowest job alone.',
		},
		width: 420,
		height: 300,
		data: { values: points },
		layer: [
			{ mark: { type: 'line', strokeWidth: 2 }, encoding: { x, y, color } },
			{ mark: { type: 'point', filled: true, size: 60 }, encoding: { x, y, color } },
		],
	} as TopLevelSpec);
}

/** Looks against lateness, for the schedules that one could have. */
export async function drawSchedules(points: SchedulePoint[], order: string[]): Promise<string> {
	const values = points.map((point) => ({ ...point, percent: 100 * point.lateness }));
	const x = {
		field: 'looksPerJob',
		type: 'quantitative' as const,
		scale: { type: 'log' as const, domain: [2, 60] },
		axis: { values: [2, 3, 4, 6, 8, 12, 20, 30, 60], title: 'looks per job', format: 'd' },
	};
	const y = {
		field: 'percent',
		type: 'quantitative' as const,
		scale: { domain: [0, 14], clamp: true },
		axis: { title: 'mean lateness, % of the job' },
	};
	const color = {
		field: 'name',
		type: 'nominal' as const,
		sort: order,
		scale: { domain: order, range: [OURS, '#e599b8', '#868e96', '#1c7ed6', '#f08c00'] },
		legend: { title: null, orient: 'right' as const },
	};
	const shown = values.filter(({ percent }) => percent <= 14);
	const chosen = shown.filter(({ intervalSeconds }) => intervalSeconds === 1);
	return await draw({
		...LOOK,
		title: {
			text: 'When to look: what fewer looks cost',
			subtitle: [
				'Jobs of 8 to 16 seconds; along each line the shortest pause goes from 0.2 to 5 s.',
				'Rings: the default of 1 s. Shaded: at most 12 looks and at most 4 % late.',
			],
		},
		width: 420,
		height: 300,
		layer: [
			{
				data: { values: [{ from: 2, to: 12, low: 0, high: 4 }] },
				mark: { type: 'rect', color: '#2f9e44', opacity: 0.09 },
				encoding: {
					x: { ...x, field: 'from' },
					x2: { field: 'to' },
					y: { ...y, field: 'low' },
					y2: { field: 'high' },
				},
			},
			{
				data: { values: shown },
				mark: { type: 'line', strokeWidth: 2, point: { size: 30 } },
				encoding: { x, y, color, order: { field: 'intervalSeconds', type: 'quantitative' } },
			},
			{
				data: { values: chosen },
				mark: { type: 'point', size: 160, strokeWidth: 2 },
				encoding: { x, y, color },
			},
		],
	} as TopLevelSpec);
}

/** CPU time of each item, by what makes the calls. */
export async function drawCost(parts: Array<{ who: string; part: string; cpuMs: number }>): Promise<string> {
	const who = [...new Set(parts.map((row) => row.who))];
	const order = [...new Set(parts.map(({ part }) => part))];
	return await draw({
		...LOOK,
		title: {
			text: 'CPU time of one item',
			subtitle: '1000 items, 100 at once, in milliseconds of one core; waiting costs nothing.',
		},
		width: 420,
		height: 120,
		data: { values: parts.map((row) => ({ ...row, rank: order.indexOf(row.part) })) },
		mark: { type: 'bar' },
		encoding: {
			y: { field: 'who', type: 'nominal', sort: who, axis: { title: null, labelLimit: 260 } },
			x: { field: 'cpuMs', type: 'quantitative', axis: { title: 'milliseconds' } },
			color: {
				field: 'part',
				type: 'nominal',
				sort: order,
				scale: { domain: order, range: ['#868e96', '#f08c00', OURS] },
				legend: { title: null, orient: 'bottom', columns: 1, labelLimit: 500 },
			},
			order: { field: 'rank', type: 'quantitative' },
		},
	} as TopLevelSpec);
}

/** CPU time and memory by the number of items. */
export async function drawGrowth(results: CostResult[]): Promise<string> {
	const panel = (field: string, title: string, values: object[]) => ({
		width: 260,
		height: 200,
		data: { values },
		layer: [{ mark: { type: 'line' as const, color: OURS, point: { color: OURS, size: 50 } } }],
		encoding: {
			x: { field: 'items', type: 'quantitative' as const, axis: { title: 'items' } },
			y: {
				field,
				type: 'quantitative' as const,
				axis: { title },
				scale: { domainMin: 0 },
			},
		},
	});
	const values = results.map(({ items, cpuMsPerItem, rssGrowthMegabytes }) => ({
		items,
		cpuSeconds: (items * cpuMsPerItem.median) / 1000,
		megabytes: rssGrowthMegabytes.median,
	}));
	return await draw({
		...LOOK,
		title: { text: 'What more items cost', subtitle: '100 items at once, binary data on disk' },
		hconcat: [
			panel('cpuSeconds', 'CPU time, s', values),
			panel('megabytes', 'growth of the resident set, MB', values),
		],
	} as TopLevelSpec);
}

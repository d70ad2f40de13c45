import type { CallsReport, CallWay } from '../callsChild';
import { startChild, submitTo, type SandboxProcess } from '../processes';
import { spreadOf, type Spread } from '../stats';

/** CPU time of one look, by the way it is made: what the connection costs, and what n8n's own request does. */
export async function measureCalls(
	sandbox: SandboxProcess,
	looks: number,
	repeats: number,
): Promise<Record<CallWay, Spread>> {
	const url = await finishedResult(sandbox);
	const of = async (way: CallWay) => {
		const costs = [];
		for (let repeat = 0; repeat < repeats; repeat++) costs.push(await once(way, url, looks));
		return spreadOf(costs);
	};
	return {
		undici: await of('undici'),
		pooled: await of('pooled'),
		fresh: await of('fresh'),
		helper: await of('helper'),
	};
}

async function finishedResult(sandbox: SandboxProcess): Promise<string> {
	return `${sandbox.url}/v1/requests/${await submitTo(sandbox)}/result`;
}

async function once(way: CallWay, url: string, looks: number): Promise<number> {
	const report = (await startChild('callsChild.ts', way, url, String(looks)).next()) as CallsReport;
	return report.cpuMsPerCall;
}

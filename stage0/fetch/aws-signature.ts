import { createHash, createHmac } from "node:crypto";

export interface AwsCredentials {
	readonly accessKeyID: string;
	readonly secretAccessKey: string;
	readonly awsRegion?: string;
}

const SERVICE = "s3";
const EMPTY_PAYLOAD = createHash("sha256").update("").digest("hex");

/** The headers of an AWS signature, version 4, for a GET of an object in S3. */
export function awsSignature(url: URL, credentials: AwsCredentials, now: Date): Record<string, string> {
	const region = credentials.awsRegion ?? guessRegion(url.hostname);
	const time = now.toISOString().replace(/[-:]|\.\d{3}/g, "");
	const date = time.slice(0, 8);
	const headers = { host: url.host, "x-amz-content-sha256": EMPTY_PAYLOAD, "x-amz-date": time };
	const names = Object.keys(headers).join(";");
	const canonical = [
		"GET",
		canonicalPath(url.pathname),
		canonicalQuery(url.searchParams),
		...Object.entries(headers).map(([name, value]) => `${name}:${value}`),
		"",
		names,
		EMPTY_PAYLOAD,
	].join("\n");
	const scope = `${date}/${region}/${SERVICE}/aws4_request`;
	const toSign = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical)].join("\n");
	const key = [date, region, SERVICE, "aws4_request"].reduce<string | Buffer>(
		hmac,
		`AWS4${credentials.secretAccessKey}`,
	);
	const signature = hmac(key, toSign).toString("hex");
	return {
		"X-Amz-Date": time,
		"X-Amz-Content-Sha256": EMPTY_PAYLOAD,
		Authorization: `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyID}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
	};
}

function hmac(key: string | Buffer, text: string): Buffer {
	return createHmac("sha256", key).update(text).digest();
}

function sha256(text: string): string {
	return createHash("sha256").update(text).digest("hex");
}

function canonicalPath(pathname: string): string {
	return pathname
		.split("/")
		.map((part) => encode(decodeURIComponent(part)))
		.join("/");
}

function canonicalQuery(query: URLSearchParams): string {
	const pairs = [...query].map(([name, value]) => `${encode(name)}=${encode(value)}`);
	return pairs.sort().join("&");
}

/** Everything but the unreserved characters of RFC 3986. */
function encode(text: string): string {
	return encodeURIComponent(text).replace(
		/[!'()*]/g,
		(char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
	);
}

/** The region that a host name of Amazon carries, else us-east-1 (config.md §2). */
export function guessRegion(host: string): string {
	const fallback = "us-east-1";
	const labels = host.split(".");
	const amazon = labels.indexOf("amazonaws");
	if (amazon === -1 || labels.length < 3 || labels.length - amazon > 3) return fallback;
	if (host.endsWith("s3.amazonaws.com") || host.endsWith("s3-external-1.amazonaws.com")) return fallback;
	const before = labels[amazon - 1] ?? "";
	if (before.startsWith("s3-")) return before.slice("s3-".length);
	return labels[amazon - 2] === "s3" ? before : fallback;
}

import { isACName } from "../../appc/types/ac-name.ts";
import { messageOf, RktError } from "../../lib/errors.ts";
import { isUuid } from "../pod/pod-directories.ts";
import { type Answer, done, notAllowed, type Route, refuse, type ServiceRequest } from "./answer.ts";
import { isToken, type Registration, type Registry } from "./registry.ts";

type Content = Omit<Answer, "shown">;

/** As much as a manifest may have. */
const MANIFEST_LIMIT = 4 * 1024 * 1024;

/** What stage0 asks, on a socket that only root can reach: `/pods/UUID?token=TOKEN` and `/pods/UUID/APP`. */
export function registrationRoutes(registry: Registry): Route {
	return async (request) => {
		const [first, uuid = "", app, ...more] = request.path ?? [];
		const shown = `/${(request.path ?? []).join("/")}`;
		if (first !== "pods" || more.length > 0) return { ...refuse(404, "not found"), shown };
		if (!isUuid(uuid)) return { ...refuse(400, "not the UUID of a pod"), shown };
		try {
			const content =
				app === undefined ? podRoute(registry, request, uuid) : appRoute(registry, request, uuid, app);
			return { ...(await content), shown };
		} catch (error) {
			if (!(error instanceof RktError)) throw error;
			return { ...refuse(400, messageOf(error)), shown };
		}
	};
}

async function podRoute(registry: Registry, request: ServiceRequest, uuid: string): Promise<Content> {
	if (request.method === "DELETE") return registry.remove(uuid) ? done() : refuse(404, "unknown pod");
	if (request.method !== "PUT") return notAllowed("PUT, DELETE");
	const token = request.query.get("token") ?? "";
	if (!isToken(token)) return refuse(400, "the token must be 32 hexadecimal digits");
	const body = await request.readBody(MANIFEST_LIMIT);
	const owner = registry.byToken(token);
	if (owner !== undefined && owner.uuid !== uuid) return refuse(400, "another pod has this token");
	registry.add(uuid, token, body);
	return done();
}

async function appRoute(
	registry: Registry,
	request: ServiceRequest,
	uuid: string,
	app: string,
): Promise<Content> {
	if (request.method !== "PUT") return notAllowed("PUT");
	if (!isACName(app)) return refuse(400, "not the name of an app");
	const body = await request.readBody(MANIFEST_LIMIT);
	// Only now: another request may have changed the registration while the body came.
	const pod: Registration | undefined = registry.byUuid(uuid);
	if (pod === undefined) return refuse(404, "unknown pod");
	if (!pod.manifest.apps.some(({ name }) => name === app)) return refuse(404, "the pod has no such app");
	registry.addImage(pod, app, body);
	return done();
}

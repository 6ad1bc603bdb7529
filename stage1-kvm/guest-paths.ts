/** How the guest's init configures its network: one directive a line. */
export const GUEST_NETWORK_FILE = "/rkt/vm/network";
/** What the guest's init makes the id of this boot, so that it is known outside. */
export const GUEST_BOOT_ID = "/rkt/vm/boot-id";
/** The exit status of the pod, which the guest writes before it powers off. */
export const GUEST_POD_STATUS = "/rkt/pod-status";
/** Runs the agent; names with an underscore cannot be those of an app. */
export const AGENT_SERVICE = "rkt_agent.service";

/*
 * The network of the guest, exactly as the plugins left it in the pod's network namespace on the host. The host writes
 * the file, one directive a line, with single spaces:
 *   hostname NAME
 *   link MAC MTU NAME                    the card with this address gets this name and is brought up
 *   address NAME ADDRESS/PREFIX
 *   route DESTINATION/PREFIX GATEWAY|- SOURCE|- METRIC NAME
 *   onlink ...                           a route whose gateway is on the link, though no address or route says so
 * rtnetlink(7)
 */
#define _GNU_SOURCE
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
	struct nlmsghdr header;
	union {
		struct ifaddrmsg address;
		struct rtmsg route;
	};
	char attributes[256];
};

struct prefix {
	int family;
	unsigned char bytes[16];
	size_t size;
	unsigned int length;
};

static int complain(const char *what, const char *text)
{
	if (errno)
		dprintf(2, "rkt: network: %s %s: %s\n", what, text, strerror(errno));
	else
		dprintf(2, "rkt: network: %s %s\n", what, text);
	return -1;
}

static int malformed(const char *what, const char *text)
{
	errno = 0;
	return complain(what, text);
}

static void add_attribute(struct request *request, unsigned short type, const void *data, size_t size)
{
	size_t offset = NLMSG_ALIGN(request->header.nlmsg_len);
	struct rtattr *attribute = (struct rtattr *)((char *)request + offset);

	attribute->rta_type = type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(size);
	memcpy(RTA_DATA(attribute), data, size);
	request->header.nlmsg_len = (unsigned int)(offset + RTA_ALIGN(attribute->rta_len));
}

/* 0, or -1 with errno as the kernel answered. */
static int ask_kernel(int socket_fd, struct request *request)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	char answer[8192];

	request->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
	if (sendto(socket_fd, request, request->header.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
		return -1;
	ssize_t size = recv(socket_fd, answer, sizeof answer, 0);
	const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
	if (size < 0)
		return -1;
	if (!NLMSG_OK(header, (unsigned int)size) || header->nlmsg_type != NLMSG_ERROR) {
		errno = EPROTO;
		return -1;
	}
	errno = -((const struct nlmsgerr *)NLMSG_DATA(header))->error;
	return errno ? -1 : 0;
}

static int parse_address(const char *text, struct prefix *prefix)
{
	prefix->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	prefix->size = prefix->family == AF_INET6 ? 16 : 4;
	prefix->length = (unsigned int)prefix->size * 8;
	return inet_pton(prefix->family, text, prefix->bytes) == 1 ? 0 : -1;
}

static int parse_prefix(char *text, struct prefix *prefix)
{
	char *slash = strchr(text, '/'), *end;

	if (!slash)
		return -1;
	*slash = '\0';
	unsigned long length = strtoul(slash + 1, &end, 10);
	if (*end || end == slash + 1 || parse_address(text, prefix) < 0 || length > prefix->length)
		return -1;
	prefix->length = (unsigned int)length;
	return 0;
}

static int set_up(int control, const char *name, short flags)
{
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	if (ioctl(control, SIOCGIFFLAGS, &request) < 0)
		return -1;
	request.ifr_flags = (short)((request.ifr_flags & ~IFF_UP) | flags);
	return ioctl(control, SIOCSIFFLAGS, &request);
}

/* Gives the name of the card with this address. */
static int find_card(int control, const char *mac, char name[IFNAMSIZ])
{
	struct if_nameindex *all = if_nameindex();
	int found = -1;

	for (struct if_nameindex *one = all; found < 0 && one && one->if_index; one++) {
		struct ifreq request = { 0 };
		char text[18];
		snprintf(request.ifr_name, sizeof request.ifr_name, "%s", one->if_name);
		if (ioctl(control, SIOCGIFHWADDR, &request) < 0 || request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
			continue;
		const unsigned char *m = (const unsigned char *)request.ifr_hwaddr.sa_data;
		snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
		if (!strcmp(text, mac)) {
			snprintf(name, IFNAMSIZ, "%s", one->if_name);
			found = 0;
		}
	}
	if (all)
		if_freenameindex(all);
	return found;
}

static int set_link(int control, char **words)
{
	struct ifreq request = { 0 };
	char name[IFNAMSIZ];

	if (find_card(control, words[0], name) < 0)
		return malformed("there is no card", words[0]);
	if (strlen(words[2]) >= IFNAMSIZ)
		return malformed("too long a name:", words[2]);
	if (strcmp(name, words[2])) {
		snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
		snprintf(request.ifr_newname, sizeof request.ifr_newname, "%s", words[2]);
		if (ioctl(control, SIOCSIFNAME, &request) < 0)
			return complain("cannot rename", name);
	}
	memset(&request, 0, sizeof request);
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", words[2]);
	request.ifr_mtu = atoi(words[1]);
	if (ioctl(control, SIOCSIFMTU, &request) < 0)
		return complain("cannot set the MTU of", words[2]);
	return set_up(control, words[2], IFF_UP) < 0 ? complain("cannot bring up", words[2]) : 0;
}

static int add_address(int netlink, char **words)
{
	struct request request = { .header = { .nlmsg_type = RTM_NEWADDR } };
	struct prefix prefix;

	if (parse_prefix(words[1], &prefix) < 0)
		return malformed("not an address:", words[1]);
	request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.address);
	request.address.ifa_family = (unsigned char)prefix.family;
	request.address.ifa_prefixlen = (unsigned char)prefix.length;
	request.address.ifa_index = if_nametoindex(words[0]);
	/* The plugins have seen to it that nobody else has the address. */
	unsigned int flags = prefix.family == AF_INET6 ? IFA_F_NODAD : 0;
	/* The routes of the file are all there are: a plugin may have removed the one to the address's own network. */
	flags |= IFA_F_NOPREFIXROUTE;
	add_attribute(&request, IFA_FLAGS, &flags, sizeof flags);
	add_attribute(&request, IFA_LOCAL, prefix.bytes, prefix.size);
	add_attribute(&request, IFA_ADDRESS, prefix.bytes, prefix.size);
	if (prefix.family == AF_INET && prefix.length < 31) {
		unsigned char broadcast[4];
		for (unsigned int i = 0; i < 4; i++) {
			unsigned int covered = prefix.length > i * 8 ? prefix.length - i * 8 : 0;
			broadcast[i] = (unsigned char)(prefix.bytes[i] | (covered >= 8 ? 0 : 0xff >> covered));
		}
		add_attribute(&request, IFA_BROADCAST, broadcast, sizeof broadcast);
	}
	return ask_kernel(netlink, &request) < 0 ? complain("cannot add the address", words[1]) : 0;
}

/* `flags`: RTNH_F_ */
static int add_route(int netlink, char **words, unsigned int flags)
{
	struct request request = { .header = { .nlmsg_type = RTM_NEWROUTE } };
	struct prefix destination, gateway, source;
	unsigned int index = if_nametoindex(words[4]), metric = (unsigned int)strtoul(words[3], NULL, 10);
	int direct = !strcmp(words[1], "-"), any_source = !strcmp(words[2], "-");

	if (parse_prefix(words[0], &destination) < 0)
		return malformed("not a destination:", words[0]);
	if (!direct && parse_address(words[1], &gateway) < 0)
		return malformed("not a gateway:", words[1]);
	if (!any_source && parse_address(words[2], &source) < 0)
		return malformed("not a source:", words[2]);
	request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.route);
	request.route.rtm_family = (unsigned char)destination.family;
	request.route.rtm_dst_len = (unsigned char)destination.length;
	request.route.rtm_table = RT_TABLE_MAIN;
	request.route.rtm_protocol = RTPROT_STATIC;
	request.route.rtm_type = RTN_UNICAST;
	request.route.rtm_flags = flags;
	request.route.rtm_scope = direct ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	if (destination.length > 0)
		add_attribute(&request, RTA_DST, destination.bytes, destination.size);
	if (!direct)
		add_attribute(&request, RTA_GATEWAY, gateway.bytes, gateway.size);
	if (!any_source)
		add_attribute(&request, RTA_PREFSRC, source.bytes, source.size);
	if (metric > 0)
		add_attribute(&request, RTA_PRIORITY, &metric, sizeof metric);
	add_attribute(&request, RTA_OIF, &index, sizeof index);
	return ask_kernel(netlink, &request) < 0 ? complain("cannot add the route to", words[0]) : 0;
}

/* Kernels are built without IPv6, or have it in a module that is not here; a pod that also has IPv4 works without. */
static int lacks_family(const char *text)
{
	static int said;

	if (!strchr(text, ':') || access("/proc/net/if_inet6", F_OK) == 0)
		return 0;
	if (!said)
		dprintf(2, "rkt: network: the guest's kernel has no IPv6, leaving out what the pod has of it\n");
	said = 1;
	return 1;
}

static int set_hostname(char **words)
{
	return sethostname(words[0], strlen(words[0])) < 0 ? complain("cannot set the name", words[0]) : 0;
}

static int carry_out(char *line, int control, int netlink)
{
	char *words[6] = { NULL }, *rest = line;
	size_t count = 0;

	while (count < 6 && (words[count] = strsep(&rest, " ")) != NULL)
		count++;
	if (rest)
		return malformed("too many words after", words[0]);
	if (count == 2 && !strcmp(words[0], "hostname"))
		return set_hostname(words + 1);
	if (count == 4 && !strcmp(words[0], "link"))
		return set_link(control, words + 1);
	if (count == 3 && !strcmp(words[0], "address"))
		return lacks_family(words[2]) ? 0 : add_address(netlink, words + 1);
	if (count == 6 && !strcmp(words[0], "route"))
		return lacks_family(words[1]) ? 0 : add_route(netlink, words + 1, 0);
	if (count == 6 && !strcmp(words[0], "onlink"))
		return lacks_family(words[1]) ? 0 : add_route(netlink, words + 1, RTNH_F_ONLINK);
	return malformed("not understood:", words[0]);
}

int configure_network(const char *file)
{
	int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	FILE *lines = fopen(file, "re");
	char line[512];
	int result = 0;

	if (control < 0 || netlink < 0)
		return complain("cannot make a socket for", file);
	if (set_up(control, "lo", IFF_UP) < 0)
		result = complain("cannot bring up", "lo");
	if (!lines && errno != ENOENT)
		result = complain("cannot open", file);
	while (lines && result == 0 && fgets(line, sizeof line, lines)) {
		if (!strchr(line, '\n')) {
			result = malformed("too long a line in", file);
			break;
		}
		line[strcspn(line, "\n")] = '\0';
		result = carry_out(line, control, netlink);
	}
	if (lines)
		fclose(lines);
	close(control);
	close(netlink);
	return result;
}

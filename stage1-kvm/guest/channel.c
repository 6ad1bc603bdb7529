#define _GNU_SOURCE
#include "channel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define PORTS "/sys/class/virtio-ports"

/* There is no udev that would make links with the names of ports. */
static int open_port(const char *name)
{
	char path[512], text[128];
	DIR *ports = opendir(PORTS);
	struct dirent *entry;
	int fd = -1;

	while (ports && fd < 0 && (entry = readdir(ports))) {
		snprintf(path, sizeof path, PORTS "/%s/name", entry->d_name);
		int file = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
		if (file >= 0)
			close(file);
		if (size <= 0)
			continue;
		text[size] = '\0';
		text[strcspn(text, "\n")] = '\0';
		if (strcmp(text, name))
			continue;
		snprintf(path, sizeof path, "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (ports)
		closedir(ports);
	return fd;
}

/* The file says to which port and with which key; stage1-kvm/host/vsock.c. */
static int call_host(const char *file)
{
	struct sockaddr_vm host = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST };
	char key[64] = "";
	FILE *text = fopen(file, "re");
	int known = text ? fscanf(text, "%u %63s", &host.svm_port, key) : 0;

	if (text)
		fclose(text);
	if (known != 2)
		return -1;
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&host, sizeof host) == 0 &&
	    write(fd, key, strlen(key)) == (ssize_t)strlen(key))
		return fd;
	int reason = errno;
	if (fd >= 0)
		close(fd);
	errno = reason;
	return -1;
}

int open_channel(const char *name)
{
	struct termios modes;
	int fd;

	if (!strncmp(name, "virtio:", 7))
		fd = open_port(name + 7);
	else if (!strncmp(name, "vsock:", 6))
		fd = call_host(name + 6);
	else if (!strncmp(name, "fd:", 3))
		fd = fcntl(atoi(name + 3), F_DUPFD_CLOEXEC, 3);
	else
		fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (tcgetattr(fd, &modes) == 0) {
		cfmakeraw(&modes);
		tcsetattr(fd, TCSANOW, &modes);
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

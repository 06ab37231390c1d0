/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c - the guest's own control socket is not in its reach
 *
 *   control DIRECTORY NAME
 *
 * DIRECTORY: where weir keeps the state of the caller's guests. Whatever of it is
 * seen inside, nothing listens there.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include "../guest/t.h"

static void try_connect(const char *path, int type)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	if (fd == -1 || strlen(path) >= sizeof(a.sun_path))
		return;
	strcpy(a.sun_path, path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		failed("connected to %s", path);
	else
		fact("connect", "%s", t_errno(errno));
	close(fd);
}

int main(int argc, char **argv)
{
	static const char *const usual[] = { "/run/weir", "/tmp/weir-0", "/run/user/0/weir" };
	char path[512];

	if (argc != 3)
		return 2;
	for (size_t i = 0; i <= ARRAY_SIZE(usual); i++) {
		const char *dir = i ? usual[i - 1] : argv[1];

		/* A long path is named by its directory's descriptor, as weir itself does. */
		int fd = open(dir, O_PATH | O_DIRECTORY);

		if (fd >= 0)
			snprintf(path, sizeof(path), "/proc/self/fd/%d/%s/control", fd, argv[2]);
		else
			snprintf(path, sizeof(path), "%.300s/%.100s/control", dir, argv[2]);
		try_connect(path, SOCK_SEQPACKET);
		try_connect(path, SOCK_STREAM);
		check("the lock of its directory is not to be had",
		      open(path, O_RDWR) == -1);
		if (fd >= 0)
			close(fd);
	}
	return t_failed;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* handle.c - files are not opened by handle ("Shocker") */
#define MAX_HANDLE 128

#include "../guest/t.h"
#include "raw.h"

int main(void)
{
	struct {
		unsigned bytes;
		int type;
		unsigned char data[MAX_HANDLE];
	} h = { .bytes = MAX_HANDLE };
	int mount_id, root = open("/", O_RDONLY | O_DIRECTORY);
	long ret;

	ret = raw64(SYS_name_to_handle_at, AT_FDCWD, (long)"/etc/passwd", (long)&h,
		    (long)&mount_id, 0, 0);
	fact("name_to_handle_at", "%s", ret < 0 ? t_errno(-ret) : "ok");
	if (ret < 0) {
		h.bytes = 8;
		h.type = 1;
		memset(h.data, 0, 8);
	}
	check("open_by_handle_at", refused(raw64(SYS_open_by_handle_at, root, (long)&h, O_RDONLY, 0, 0, 0)));
	h.type = 1;
	h.bytes = 8;
	for (unsigned inode = 1; inode < 64; inode++) {
		memset(h.data, 0, 8);
		memcpy(h.data, &inode, 4);
		ret = raw64(SYS_open_by_handle_at, root, (long)&h, O_RDONLY, 0, 0, 0);
		if (!refused(ret))
			failed("inode %u by handle: %ld", inode, ret);
	}
	return t_failed;
}

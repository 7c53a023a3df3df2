/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * uio: moving bytes between a driver and whoever reads or writes its device.
 * The hosted kernel has one address space, so user memory is simply memory.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/uio.h>

int
uiomove(void *cp, int n, struct uio *uio)
{
	struct iovec *iov;
	size_t len;
	char *p;

	KASSERT(uio->uio_rw == UIO_READ || uio->uio_rw == UIO_WRITE,
	    ("uiomove: neither read nor write"));
	p = cp;
	while (n > 0 && uio->uio_resid > 0 && uio->uio_iovcnt > 0) {
		iov = uio->uio_iov;
		len = MIN((size_t)n, iov->iov_len);
		if (len == 0) {
			uio->uio_iov++;
			uio->uio_iovcnt--;
			continue;
		}
		if (uio->uio_segflg != UIO_NOCOPY) {
			if (uio->uio_rw == UIO_READ)
				memcpy(iov->iov_base, p, len);
			else
				memcpy(p, iov->iov_base, len);
		}
		iov->iov_base = (char *)iov->iov_base + len;
		iov->iov_len -= len;
		uio->uio_resid -= len;
		uio->uio_offset += len;
		p += len;
		n -= len;
	}
	return (0);
}

int
uiomove_frombuf(void *buf, int buflen, struct uio *uio)
{

	if (uio->uio_offset < 0 || uio->uio_resid < 0)
		return (EINVAL);
	if (buflen <= 0 || uio->uio_offset >= buflen)
		return (0);
	return (uiomove((char *)buf + uio->uio_offset,
	    MIN(buflen - uio->uio_offset, uio->uio_resid), uio));
}

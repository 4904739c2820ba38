/*
 * hash.c — a digest, over and over: the model of a job that computes, and so runs on the CPU thread and not on the loop.
 *
 * The first round digests the input, each further one the digest before it.
 */
#include <errno.h>
#include <gather/worker.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS_BETWEEN_LOOKS 1024 /* at the clock */

static const struct ga_param params[] = {
	{ .name = "text", .type = GA_TEXT, .help = "what is digested; without it `size` zero bytes are" },
	{ .name = "size",
	  .type = GA_SIZE,
	  .preset = "0",
	  .max = 1e12,
	  .unit = "bytes",
	  .help = "how many zero bytes are digested, if there is no text" },
	{ .name = "algorithm",
	  .type = GA_CHOICE,
	  .preset = "\"sha256\"",
	  .choices = "sha256|sha512|sha1|sha3-256|sha3-512|blake2b512|md5",
	  .help = "of the digest" },
	{ .name = "rounds",
	  .type = GA_INTEGER,
	  .preset = "1",
	  .min = 1,
	  .max = 1e12,
	  .help = "how often: each round digests the digest of the one before" },
	{ 0 },
};

struct digest {
	const EVP_MD *md;
	EVP_MD_CTX *context;
	unsigned char value[EVP_MAX_MD_SIZE];
	unsigned size;
};

static bool time_is_over(const ga_job *job)
{
	return ga_now() >= ga_job_deadline(job);
}

static int digest_bytes(struct digest *d, const void *data, size_t size)
{
	if (!EVP_DigestInit_ex2(d->context, d->md, NULL) || !EVP_DigestUpdate(d->context, data, size) ||
	    !EVP_DigestFinal_ex(d->context, d->value, &d->size))
		return -EIO;
	return 0;
}

static int digest_zeros(ga_job *job, struct digest *d, uint64_t size)
{
	static const char zeros[65536];

	if (!EVP_DigestInit_ex2(d->context, d->md, NULL))
		return -EIO;
	while (size > 0) {
		size_t piece = size < sizeof(zeros) ? (size_t)size : sizeof(zeros);

		if (!EVP_DigestUpdate(d->context, zeros, piece))
			return -EIO;
		size -= piece;
		if (time_is_over(job))
			return -ECANCELED;
	}
	return EVP_DigestFinal_ex(d->context, d->value, &d->size) ? 0 : -EIO;
}

static int digest_all(ga_job *job, struct digest *d)
{
	const char *text = ga_job_text(job, "text");
	int64_t rounds = ga_job_integer(job, "rounds");
	int error = text ? digest_bytes(d, text, strlen(text))
			 : digest_zeros(job, d, (uint64_t)ga_job_integer(job, "size"));

	for (int64_t round = 1; error == 0 && round < rounds; round++) {
		error = digest_bytes(d, d->value, d->size);
		if (round % ROUNDS_BETWEEN_LOOKS == 0 && time_is_over(job))
			return -ECANCELED;
	}
	return error;
}

static int tell(ga_job *job, const struct digest *d)
{
	char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
	int error;

	for (unsigned i = 0; i < d->size; i++)
		snprintf(hex + (size_t)2 * i, 3, "%02x", d->value[i]);
	error = ga_job_meta_text(job, "algorithm", ga_job_text(job, "algorithm"));
	if (error == 0)
		error = ga_job_meta_integer(job, "rounds", ga_job_integer(job, "rounds"));
	return error < 0 ? error : ga_job_meta_text(job, "digest", hex);
}

static int work(ga_job *job)
{
	const char *algorithm = ga_job_text(job, "algorithm");
	EVP_MD *md = EVP_MD_fetch(NULL, algorithm, NULL);
	struct digest d = { .md = md, .context = EVP_MD_CTX_new() };
	int result;

	if (!md)
		result = ga_job_fail(job, "unavailable", "this OpenSSL has no %s", algorithm);
	else if (!d.context)
		result = -ENOMEM;
	else
		result = digest_all(job, &d);
	if (result == 0)
		result = tell(job, &d);
	EVP_MD_CTX_free(d.context);
	EVP_MD_free(md);
	return result;
}

static const struct ga_job_type hash = {
	.name = "hash",
	.help = "computes a digest, over and over",
	.job_class = GA_CLASS_CPU,
	.params = params,
	.work = work,
	.example = "text=hello rounds=1000",
};

GA_PLUGIN(&hash);

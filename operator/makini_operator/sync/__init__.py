"""The program that CronJobs run: read what changed at Makini, check that nothing was missed, load it, say how it went.

The order of a run is what makes it safe to kill at any point:

1. lock the dataset, so that two runs never interleave while the lock holds;
2. read the pages of an entity into a scratch file on this computer, each page checked against its envelope, until
   nothing shows that something was missed (`listing`). Up to here nothing is changed at the destination, and any doubt
   fails the run;
3. compare with the destination's digests: a run with nothing new ends here, without having imported dlt. If something
   is missing, read the list once more;
4. note at the destination that a load is under way, load with dlt (merge on the key), count what arrived;
5. mark what is gone at the source, and only then move the cursor, which lives at the destination too.

A run that dies in between leaves the cursor where it was; the next one reads the same records again and, because of the
note of step 4, believes no digest. Nothing is ever deleted: what is gone is marked (docs/history.md).

This package imports neither controllers nor kube: it also runs alone on a laptop.
"""

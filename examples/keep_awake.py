"""Keep an AgbSession awake while this runs: python keep_awake.py NAMESPACE NAME [SECONDS OF ONE LEASE]."""

import sys
import time
from datetime import UTC, datetime, timedelta

from kubernetes import client, config
from urllib3.exceptions import HTTPError

namespace, name, lease = sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 900.0
config.load_config()
while True:
    until = (datetime.now(UTC) + timedelta(seconds=lease)).strftime("%Y-%m-%dT%H:%M:%SZ")
    word = {"spec": {"override": {"state": "Running", "until": until, "reason": "in use"}}}
    try:
        client.CustomObjectsApi().patch_namespaced_custom_object(
            "agb.cloud", "v1alpha1", namespace, "agbsessions", name, word,
            field_manager="keep-awake", _content_type="application/merge-patch+json",
        )  # fmt: skip
    except (client.ApiException, HTTPError) as error:  # there is time for two more tries before the lease ends
        print(f"not renewed: {error}", file=sys.stderr, flush=True)
    time.sleep(lease / 3)

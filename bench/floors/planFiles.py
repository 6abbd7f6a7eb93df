"""PyIceberg's own planning, in a process that keeps the table open: {"table": ...} on a line of stdin opens one,
{"equals": [column, value]} plans a scan of it and is answered by {"seconds": ..., "files": [...]}.
"""
import json
import sys
import time

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import EqualTo

name, uri, warehouse = sys.argv[1:]
catalog = SqlCatalog(name, uri=uri, warehouse=warehouse)
table = None

for line in sys.stdin:
    asked = json.loads(line)
    if "table" in asked:
        table = catalog.load_table(asked["table"])
        print("{}", flush=True)
        continue
    began = time.perf_counter()
    tasks = list(table.scan(row_filter=EqualTo(*asked["equals"])).plan_files())
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "files": [task.file.file_path for task in tasks]}), flush=True)

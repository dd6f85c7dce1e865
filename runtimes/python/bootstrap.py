"""Entry of the Python client: started as `python -S -u -X utf8 /var/runtime/bootstrap.py`.

Only this file is compiled at every start; everything else is imported and therefore comes from its .pyc.
"""

from _lambent import loop

loop.main()

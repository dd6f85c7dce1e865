"""What hangs on a function: versions, aliases, layers, tags, permissions, concurrency; each setting acts."""

import json

import pytest

from support.functions import Answer, Refused, fresh_name
from support.node import wait_until
from support.packages import archive

VERSION = "import os\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_FUNCTION_VERSION']\n"
LOOK = """
    import os, sys

    def handler(event, context):
        found = {}
        for folder, _, names in os.walk("/opt"):
            for name in names:
                path = os.path.join(folder, name)
                found[path] = open(path).read()
        try:
            import layered
            found["import"] = layered.WORD
        except ImportError as error:
            found["import"] = str(error)
        return found
"""


def pages(client, operation, **words):
    key = client.get_paginator(operation)._pagination_cfg["result_key"]
    return [item for page in client.get_paginator(operation).paginate(**words) for item in page.get(key, [])]


# Versions.


def test_a_published_version_stays_as_it_was(node, make):
    function = make(VERSION, Description="first")
    client = node.functions
    first = client.publish_version(FunctionName=function.name)
    assert first["Version"] == "1" and first["FunctionArn"].endswith(f":{function.name}:1")
    assert client.publish_version(FunctionName=function.name)["Version"] == "1", "nothing changed since"
    function.update(VERSION.replace("return ", "return 'new ' + "))
    second = client.publish_version(FunctionName=function.name, Description="second")
    assert second["Version"] == "2"
    client.get_waiter("published_version_active").wait(FunctionName=function.name, Qualifier="2")
    assert function(Qualifier="1") == "1"
    assert function(Qualifier="2") == "new 2"
    assert function() == "new $LATEST"
    listed = pages(client, "list_versions_by_function", FunctionName=function.name)
    assert [v["Version"] for v in listed] == ["$LATEST", "1", "2"]
    one = client.get_function_configuration(FunctionName=function.name, Qualifier="1")
    two = client.get_function_configuration(FunctionName=function.name, Qualifier="2")
    assert (one["Description"], two["Description"]) == ("first", "second")
    assert one["CodeSha256"] != two["CodeSha256"]


def test_a_version_can_be_deleted_and_its_number_is_not_given_again(node, make):
    function = make(VERSION)
    client = node.functions
    client.publish_version(FunctionName=function.name)
    client.delete_function(FunctionName=function.name, Qualifier="1")
    with Refused("ResourceNotFoundException", 404):
        function.call(Qualifier="1")
    function.configure(Description="another")
    assert client.publish_version(FunctionName=function.name)["Version"] == "2"
    with Refused("InvalidParameterValueException", 400, r"\$LATEST version cannot be deleted"):
        client.delete_function(FunctionName=function.name, Qualifier="$LATEST")


def test_publishing_checks_the_code_and_the_revision(node, make):
    function = make(VERSION)
    client = node.functions
    with Refused("InvalidParameterValueException", 400, "CodeSHA256"):
        client.publish_version(FunctionName=function.name, CodeSha256="x" * 43 + "=")
    with Refused("PreconditionFailedException", 412, "Revision Id"):
        client.publish_version(FunctionName=function.name, RevisionId="not-it")
    found = client.get_function_configuration(FunctionName=function.name)
    words = {"CodeSha256": found["CodeSha256"], "RevisionId": found["RevisionId"]}
    assert client.publish_version(FunctionName=function.name, **words)["Version"] == "1"


def test_create_with_publish_gives_version_one(node, make):
    function = make(VERSION, Publish=True)
    assert function.created["Version"] == "1"
    assert function(Qualifier="1") == "1"


# Aliases.


def test_an_alias_leads_where_it_points(node, make):
    function = make(VERSION)
    client = node.functions
    client.publish_version(FunctionName=function.name)
    function.configure(Description="2")
    client.publish_version(FunctionName=function.name)
    alias = client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1", Description="d")
    assert alias["AliasArn"].endswith(f":{function.name}:live")
    answer = function.call(Qualifier="live")
    assert (answer.ok(), answer.version) == ("1", "1")
    with Refused("PreconditionFailedException", 412):
        client.update_alias(FunctionName=function.name, Name="live", FunctionVersion="2", RevisionId="no")
    client.update_alias(
        FunctionName=function.name, Name="live", FunctionVersion="2", RevisionId=alias["RevisionId"]
    )
    assert function(Qualifier="live") == "2"
    assert client.get_alias(FunctionName=function.name, Name="live")["Description"] == "d"
    with Refused("ResourceConflictException", 409, "live"):
        client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    with Refused("ResourceConflictException", 409, "live"):
        client.delete_function(FunctionName=function.name, Qualifier="2")
    client.create_alias(FunctionName=function.name, Name="old", FunctionVersion="1")
    listed = pages(client, "list_aliases", FunctionName=function.name)
    assert sorted(a["Name"] for a in listed) == ["live", "old"]
    of_one = pages(client, "list_aliases", FunctionName=function.name, FunctionVersion="1")
    assert [a["Name"] for a in of_one] == ["old"]
    client.delete_alias(FunctionName=function.name, Name="live")
    with Refused("ResourceNotFoundException", 404):
        function.call(Qualifier="live")


def test_an_alias_with_weights_divides_its_calls(node, make):
    function = make(VERSION)
    client = node.functions
    client.publish_version(FunctionName=function.name)
    function.configure(Description="2")
    client.publish_version(FunctionName=function.name)
    routing = {"AdditionalVersionWeights": {"2": 0.3}}
    client.create_alias(FunctionName=function.name, Name="split", FunctionVersion="1", RoutingConfig=routing)
    calls = 500
    answers = [function.call(Qualifier="split", tail=False) for _ in range(calls)]
    seconds = sum(answer.ok() == "2" for answer in answers)
    assert all(answer.json == answer.version for answer in answers)
    # 500 draws at 0.3 have a standard deviation of 10.2: five of them are one failure in two million runs.
    assert 150 - 52 < seconds < 150 + 52, seconds
    client.update_alias(FunctionName=function.name, Name="split", RoutingConfig={})
    assert {function(Qualifier="split") for _ in range(20)} == {"1"}
    with Refused("InvalidParameterValueException", 400):
        client.update_alias(
            FunctionName=function.name,
            Name="split",
            RoutingConfig={"AdditionalVersionWeights": {"1": 0.1, "2": 0.2}},
        )


# Layers.


@pytest.fixture
def layer(node):
    made = []

    def layer(files, name=None, **words):
        name = name or fresh_name("layer")
        answer = node.functions.publish_layer_version(
            LayerName=name, Content={"ZipFile": archive(files)}, **words
        )
        made.append((name, answer["Version"]))
        return answer

    yield layer
    for name, number in made:
        node.functions.delete_layer_version(LayerName=name, VersionNumber=number)


def test_layers_are_merged_in_their_order_and_python_finds_them(node, make, layer):
    under = layer({"shared.txt": "under", "only-under.txt": "u", "python/layered.py": "WORD = 'under'\n"})
    over = layer({"shared.txt": "over", "bin/tool*": "#!/bin/sh\necho tool\n"})
    function = make(LOOK, Layers=[under["LayerVersionArn"], over["LayerVersionArn"]])
    found = function()
    assert found["/opt/shared.txt"] == "over" and found["/opt/only-under.txt"] == "u"
    assert found["import"] == "under"
    function.configure(Layers=[over["LayerVersionArn"], under["LayerVersionArn"]])
    assert function()["/opt/shared.txt"] == "under"
    function.configure(Layers=[])
    found = function()
    assert set(found) == {"import"} and "layered" in found["import"]
    shown = node.functions.get_function_configuration(FunctionName=function.name)
    assert "Layers" not in shown


def test_nodejs_finds_modules_of_a_layer(node, make, layer, runtimes):
    if "nodejs20.x" not in runtimes:
        pytest.skip("this host has no nodejs20.x")
    made = layer({"nodejs/node_modules/layered/index.js": "exports.word = 'layered';\n"})
    source = 'exports.handler = async () => require("layered").word;\n'
    function = make(
        {"index.js": source}, runtime="nodejs20.x", Layers=[made["LayerVersionArn"]]
    )
    assert function() == "layered"


def test_a_layers_program_is_on_the_path(make, layer):
    made = layer({"bin/greet*": "#!/bin/sh\necho greeted\n"})
    source = "import subprocess\ndef handler(e, c):\n    return subprocess.check_output(['greet']).decode()\n"
    assert make(source, Layers=[made["LayerVersionArn"]])() == "greeted\n"


def test_layer_versions_count_up_and_are_found_by_arn(node, layer):
    client = node.functions
    name = fresh_name("layer")
    first = layer({"a.txt": "1"}, name, Description="one", CompatibleRuntimes=["python3.11"], LicenseInfo="MIT")
    second = layer({"a.txt": "2"}, name)
    assert (first["Version"], second["Version"]) == (1, 2)
    found = client.get_layer_version_by_arn(Arn=first["LayerVersionArn"])
    assert found["Description"] == "one" and found["LicenseInfo"] == "MIT"
    assert found["Content"]["CodeSha256"] == first["Content"]["CodeSha256"]
    listed = pages(client, "list_layer_versions", LayerName=name)
    assert [v["Version"] for v in listed] == [2, 1]
    latest = {item["LayerName"]: item["LatestMatchingVersion"] for item in pages(client, "list_layers")}
    assert latest[name]["Version"] == 2
    only = pages(client, "list_layers", CompatibleRuntime="python3.11")
    assert name in [item["LayerName"] for item in only]
    client.delete_layer_version(LayerName=name, VersionNumber=1)
    with Refused("ResourceNotFoundException", 404):
        client.get_layer_version(LayerName=name, VersionNumber=1)


def test_a_function_keeps_a_layer_that_was_deleted(node, make):
    client = node.functions
    name = fresh_name("layer")
    made = client.publish_layer_version(LayerName=name, Content={"ZipFile": archive({"kept.txt": "kept"})})
    function = make(LOOK, Layers=[made["LayerVersionArn"]])
    client.delete_layer_version(LayerName=name, VersionNumber=1)
    assert function()["/opt/kept.txt"] == "kept"
    with Refused("InvalidParameterValueException", 400, "does not exist"):
        client.update_function_configuration(
            FunctionName=function.name, Layers=[made["LayerVersionArn"].replace(":1", ":9")]
        )


def test_six_layers_are_too_many(node, make, layer):
    arns = [layer({f"{i}.txt": str(i)})["LayerVersionArn"] for i in range(6)]
    with Refused("InvalidParameterValueException", 400, "Cannot reference more than 5 layers"):
        make(LOOK, Layers=arns)
    assert len(make(LOOK, Layers=arns[:5])()) == 6


# Tags.


def test_tags_are_kept_changed_and_taken_away(node, make):
    function = make(VERSION, Tags={"team": "blue", "tier": "1"})
    client = node.functions
    arn = function.arn
    client.tag_resource(Resource=arn, Tags={"team": "red", "ünï": "✓"})
    client.untag_resource(Resource=arn, TagKeys=["tier", "never"])
    wanted = {"team": "red", "ünï": "✓"}
    assert client.list_tags(Resource=arn)["Tags"] == wanted
    assert client.get_function(FunctionName=function.name)["Tags"] == wanted
    with Refused("InvalidParameterValueException", 400, "aws:"):
        client.tag_resource(Resource=arn, Tags={"aws:mine": "1"})
    with Refused("ResourceNotFoundException", 404):
        client.list_tags(Resource=arn + "x")


# Permissions.


def test_a_permission_lets_another_account_call_and_no_more(node, make):
    function = make(VERSION)
    client, other = node.functions, node.client(key="123456789012")
    arn = function.arn
    with Refused("AccessDeniedException", 403, "lambda:InvokeFunction"):
        other.invoke(FunctionName=arn)
    answer = client.add_permission(
        FunctionName=function.name,
        StatementId="guest",
        Action="lambda:InvokeFunction",
        Principal="123456789012",
    )
    statement = json.loads(answer["Statement"])
    assert statement["Sid"] == "guest" and statement["Effect"] == "Allow"
    assert Answer(other.invoke(FunctionName=arn)).ok() == "$LATEST"
    with Refused("AccessDeniedException", 403):
        other.delete_function(FunctionName=arn)
    with Refused("AccessDeniedException", 403):
        node.client(key="123456789013").invoke(FunctionName=arn)
    policy = client.get_policy(FunctionName=function.name)
    assert [s["Sid"] for s in json.loads(policy["Policy"])["Statement"]] == ["guest"]
    with Refused("ResourceConflictException", 409, "guest"):
        client.add_permission(
            FunctionName=function.name,
            StatementId="guest",
            Action="lambda:InvokeFunction",
            Principal="123456789012",
        )
    with Refused("PreconditionFailedException", 412):
        client.remove_permission(FunctionName=function.name, StatementId="guest", RevisionId="no")
    client.remove_permission(FunctionName=function.name, StatementId="guest")
    with Refused("AccessDeniedException", 403):
        other.invoke(FunctionName=arn)
    with Refused("ResourceNotFoundException", 404):
        client.get_policy(FunctionName=function.name)


def test_a_permission_on_an_alias_opens_that_alias_only(node, make):
    function = make(VERSION, Publish=True)
    client, other = node.functions, node.client(key="123456789012")
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    client.add_permission(
        FunctionName=function.name,
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="123456789012",
        Qualifier="live",
    )
    assert Answer(other.invoke(FunctionName=f"{function.arn}:live")).ok() == "1"
    with Refused("AccessDeniedException", 403):
        other.invoke(FunctionName=function.arn)


# Concurrency and account.


def test_reserved_concurrency_is_told_and_taken_from_the_account(node, make):
    function = make(VERSION)
    client = node.functions
    before = client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=7)
    assert client.get_function_concurrency(FunctionName=function.name)["ReservedConcurrentExecutions"] == 7
    assert client.get_function(FunctionName=function.name)["Concurrency"] == {"ReservedConcurrentExecutions": 7}
    after = client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    assert before - after == 7
    with Refused("InvalidParameterValueException", 400, "below its minimum value of"):
        client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=901)
    client.delete_function_concurrency(FunctionName=function.name)
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName=function.name)
    assert client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == before


def test_account_settings_count_functions_and_code(node, make):
    client = node.client(key="222222222222")
    assert client.get_account_settings()["AccountUsage"] == {"TotalCodeSize": 0, "FunctionCount": 0}
    zipped = archive({"index.py": VERSION})
    client.create_function(
        FunctionName="counted",
        Runtime="python3.11",
        Role="arn:aws:iam::222222222222:role/r",
        Handler="index.handler",
        Code={"ZipFile": zipped},
    )
    settings = client.get_account_settings()
    assert settings["AccountUsage"] == {"TotalCodeSize": len(zipped), "FunctionCount": 1}
    assert settings["AccountLimit"]["CodeSizeUnzipped"] == 250 << 20
    client.delete_function(FunctionName="counted")
    assert client.get_account_settings()["AccountUsage"] == {"TotalCodeSize": 0, "FunctionCount": 0}


# Lists and conflicts.


def test_lists_come_in_pages_that_miss_nothing(node):
    client = node.client(key="333333333333")
    zipped = archive({"index.py": VERSION})
    names = [f"page-{i:02}" for i in range(13)]
    for name in names:
        client.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role="arn:aws:iam::333333333333:role/r",
            Handler="index.handler",
            Code={"ZipFile": zipped},
        )
    listed, marker, sizes = [], {}, []
    while True:
        page = client.list_functions(MaxItems=5, **marker)
        listed += [f["FunctionName"] for f in page["Functions"]]
        sizes.append(len(page["Functions"]))
        if "NextMarker" not in page:
            break
        marker = {"Marker": page["NextMarker"]}
    assert sorted(listed) == names and sizes == [5, 5, 3]
    with Refused("InvalidParameterValueException", 400):
        client.list_functions(Marker="nonsense")
    for name in names:
        client.delete_function(FunctionName=name)


def test_a_revision_id_that_is_not_the_last_is_refused(node, make):
    function = make(VERSION)
    client = node.functions
    old = client.get_function_configuration(FunctionName=function.name)["RevisionId"]
    function.configure(Description="newer")
    for attempt in [
        lambda: client.update_function_configuration(
            FunctionName=function.name, Description="x", RevisionId=old
        ),
        lambda: client.update_function_code(
            FunctionName=function.name, ZipFile=archive({"index.py": "x = 1"}), RevisionId=old
        ),
    ]:
        with Refused("PreconditionFailedException", 412, "Revision Id"):
            attempt()
    assert function() == "$LATEST"


def test_of_two_functions_with_one_name_the_second_is_refused(node, make):
    function = make(VERSION)
    with Refused("ResourceConflictException", 409, f"Function already exist: {function.name}"):
        make(VERSION, name=function.name)


def test_of_two_writers_at_once_none_is_lost(node, make):
    from concurrent.futures import ThreadPoolExecutor

    from botocore.exceptions import ClientError

    function = make(VERSION)
    client = node.functions

    def write(word):
        try:
            client.update_function_configuration(FunctionName=function.name, Description=word)
            return word
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ResourceConflictException", error
            assert "An update is in progress" in str(error)
            return None

    with ThreadPoolExecutor(8) as pool:
        written = [word for word in pool.map(write, [f"w{i}" for i in range(40)]) if word]
    assert written, "nobody won"
    assert function.settle()["Description"] in written
    def tag(number):
        try:
            client.tag_resource(Resource=arn, Tags={f"k{number}": "v"})
            return f"k{number}"
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ResourceConflictException", error
            return None

    arn = function.arn
    with ThreadPoolExecutor(8) as pool:
        tagged = {key for key in pool.map(tag, range(24)) if key}
    assert tagged and set(client.list_tags(Resource=arn)["Tags"]) == tagged
    wait_until(lambda: function() == "$LATEST")

//! Each archive here is refused for what it does, and nothing of it is left.

use super::*;
use raw::{LINK, Raw};

async fn refusal(f: &Fixture, what: &str, zip: Vec<u8>) -> CodeRefusal {
    let refusal = f.admit(zip).await.expect_err(what);
    assert!(f.is_empty(), "{what} left something behind");
    refusal
}

async fn forbidden(what: &str, entries: &[Raw], why: &str) {
    let f = fixture();
    match refusal(&f, what, archive(entries)).await {
        CodeRefusal::ForbiddenEntry { detail, .. } => assert!(detail.contains(why), "{what}: {detail}"),
        other => panic!("{what}: {other:?}"),
    }
}

async fn corrupt(what: &str, zip: Vec<u8>) {
    let f = fixture();
    let refusal = refusal(&f, what, zip).await;
    assert!(matches!(refusal, CodeRefusal::Corrupt { .. }), "{what}: {refusal:?}");
}

#[tokio::test]
async fn names_that_leave_the_package_are_refused() {
    let long = "x".repeat(256);
    let deep = "d/".repeat(255) + "f";
    let endless = "dir12345/".repeat(400);
    let cases: [(&[u8], &str); 14] = [
        (b"../evil", "leads out"),
        (b"a/../../evil", "leads out"),
        (b"a/..", "leads out"),
        (b"..", "leads out"),
        (b"/etc/passwd", "absolute"),
        (b"//host/share", "absolute"),
        (b"..\\evil", "backslash"),
        (b"a\\b", "backslash"),
        (b"C:/evil", "drive"),
        (b"c:evil", "drive"),
        (b"a\0b", "NUL"),
        (b"", "empty"),
        (long.as_bytes(), "255 bytes"),
        (deep.as_bytes(), "255 directories"),
    ];
    for (name, why) in cases {
        let what = String::from_utf8_lossy(name).into_owned();
        forbidden(&what, &[file("ok", "1"), file(name, "x")], why).await;
    }
    forbidden("endless", &[file(endless + "f", "x")], "too long").await;
    forbidden("root as a file", &[file(".", "x")], "package itself").await;
    forbidden("parent as a directory", &[file("a", "x"), directory("../")], "leads out").await;
}

#[tokio::test]
async fn links_that_leave_the_package_are_refused() {
    let out = "leads out";
    forbidden("parent", &[link("l", "..")], out).await;
    forbidden("deeper", &[file("a/b", "1"), link("a/l", "../../x")], out).await;
    forbidden("absolute", &[link("l", "/etc/passwd")], "absolute").await;
    forbidden("over a link", &[file("d/e/f", "1"), link("d/e/up", ".."), link("l", "d/e/up/../../x")], out)
        .await;
    forbidden("over a later link", &[link("l", "m/../.."), link("m", "d"), file("d/f", "1")], out).await;
    forbidden("through nothing", &[link("l", "nothing/../../x")], out).await;
    forbidden("through a file", &[file("f", "1"), link("l", "f/../../x")], out).await;
    forbidden("a circle", &[link("a", "b"), link("b", "a")], "circle").await;
    forbidden("itself", &[link("a", "a/x")], "circle").await;
    forbidden("NUL", &[link("l", "a\0b")], "NUL").await;
    forbidden("empty", &[link("l", "")], "empty").await;
    forbidden("long", &[link("l", "a/".repeat(3_000))], "too long").await;
    forbidden("not UTF-8", &[link("l", [0xff, 0xfe])], "UTF-8").await;
    forbidden("a link as a directory", &[Raw { mode: LINK, ..directory("l/") }], "only files").await;
}

#[tokio::test]
async fn a_tangle_of_links_is_refused_in_bounded_time() {
    let mut entries = vec![file("d/f", "1")];
    let winding = "./".repeat(1_900);
    for n in 0..4_000 {
        entries.push(deflated(format!("l{n}"), format!("{winding}l{}", n + 1)));
        entries.last_mut().unwrap().mode = LINK;
    }
    let f = fixture();
    let start = Instant::now();
    let refusal = refusal(&f, "a tangle", archive(&entries)).await;
    assert!(matches!(refusal, CodeRefusal::ForbiddenEntry { .. }), "{refusal:?}");
    assert!(start.elapsed().as_secs() < 120, "{:?}", start.elapsed());
}

#[tokio::test]
async fn names_that_stand_for_two_things_are_refused() {
    let two = "two things";
    forbidden("twice", &[file("a", "1"), file("a", "2")], two).await;
    forbidden("twice, spelt differently", &[file("a/b", "1"), file("./a//b", "2")], two).await;
    forbidden("file, then directory", &[file("a", "1"), directory("a/")], two).await;
    forbidden("directory, then file", &[directory("a/"), file("a", "1")], two).await;
    forbidden("implied directory, then file", &[file("a/b", "1"), file("a", "1")], two).await;
    forbidden("below a file", &[file("a", "1"), file("a/b", "1")], "below a file or a link").await;
    forbidden("below a link", &[link("a", "b"), file("a/x", "1")], "below a file or a link").await;
    forbidden("link over a directory", &[file("a/x", "1"), link("a", "b")], two).await;
}

#[tokio::test]
async fn devices_pipes_and_the_like_are_refused() {
    for (what, mode) in
        [("pipe", 0o010_644), ("character", 0o020_644), ("block", 0o060_644), ("socket", 0o140_644)]
    {
        forbidden(what, &[Raw { mode, ..file("special", "") }], "only files").await;
    }
    forbidden("a directory with contents", &[file("d/", "contents")], "contents").await;
}

#[tokio::test]
async fn what_can_not_be_read_is_refused_by_name() {
    for flag in [1, 1 << 6, 1 << 13] {
        forbidden("encrypted", &[Raw { flags: flag, ..file("a", "1") }], "encrypted").await;
    }
    for method in [1, 9, 12, 14, 93, 95, 99] {
        forbidden("method", &[Raw { method, ..file("a", "1") }], "not supported").await;
    }
}

#[tokio::test]
async fn other_bytes_are_no_archive() {
    let good = archive(&[deflated("a", "contents".repeat(100))]);
    corrupt("nothing", Vec::new()).await;
    corrupt("text", b"print('hello')".repeat(10)).await;
    corrupt("a tar archive", [b"a".as_slice(), &[0; 511]].concat()).await;
    corrupt("only a signature", b"PK\x03\x04".to_vec()).await;
    corrupt("the first half", good[..good.len() / 2].to_vec()).await;
    corrupt("without its last byte", good[..good.len() - 1].to_vec()).await;
    corrupt("without its beginning", good[10..].to_vec()).await;
    corrupt("a tail that hides the end", [good.as_slice(), &[0; 70_000]].concat()).await;
    let mut volume = good.clone();
    let at = volume.len() - 18;
    volume[at] = 1;
    corrupt("one of several volumes", volume).await;
    let mut utf8 = archive(&[Raw { flags: 1 << 11, ..file(b"\xff\xfe", "1") }]);
    corrupt("not the UTF-8 that it claims", std::mem::take(&mut utf8)).await;
}

#[tokio::test]
async fn lies_about_contents_are_refused() {
    let data = "contents".repeat(1_000);
    let honest = || deflated("a", &data);
    let cases = [
        ("fewer bytes than there are", Raw { size: 10, ..honest() }),
        ("more bytes than there are", Raw { size: 100_000, ..honest() }),
        ("none", Raw { size: 0, ..honest() }),
        ("another checksum", Raw { crc: 1, ..honest() }),
        ("a stream that is cut", Raw { packed: 20, ..honest() }),
        ("a stream that goes beyond the directory", Raw { packed: 1 << 30, ..honest() }),
        ("no stream", Raw { data: vec![0xff; 50], packed: 50, ..honest() }),
        ("an empty stream", Raw { data: Vec::new(), packed: 0, ..honest() }),
        ("two sizes of a stored file", Raw { size: 5, ..file("a", "1234567") }),
        ("another name", Raw { local_name: Some(b"b".to_vec()), ..honest() }),
        ("an offset outside", Raw { offset: Some(1 << 30), ..honest() }),
        ("an offset at nothing", Raw { offset: Some(7), ..honest() }),
    ];
    for (what, entry) in cases {
        corrupt(what, archive(&[file("first", "1"), entry])).await;
    }
}

#[tokio::test]
async fn entries_that_share_bytes_are_refused() {
    let same = file("a", "shared");
    let again = Raw { offset: Some(0), data: Vec::new(), ..same.clone() };
    corrupt("one local header twice", archive(&[same, again])).await;
    // An entry whose data is another whole entry.
    let inner = archive(&[file("b", "kernel")]);
    let nested = &inner[..31 + 6];
    let outer = file("a", nested);
    let inside = Raw { offset: Some(31), data: Vec::new(), ..file("b", "kernel") };
    corrupt("one inside another", archive(&[outer, inside])).await;
}

#[tokio::test]
async fn bombs_are_refused_before_they_are_inflated() {
    let limits = Limits { unzipped_bytes_max: 1_000_000, entries_max: 1_000 };
    let f = limited(limits);
    let bomb = deflated("zeros", vec![0; 2_000_000]);
    let too_large = CodeRefusal::TooLarge { max_bytes: 1_000_000 };
    assert_eq!(refusal(&f, "honest", archive(std::slice::from_ref(&bomb))).await, too_large);
    let many: Vec<_> = (0..3).map(|n| deflated(format!("{n}"), vec![0; 400_000])).collect();
    assert_eq!(refusal(&f, "together", archive(&many)).await, too_large);
    let lying = Raw { size: 1_000, ..bomb };
    assert!(matches!(refusal(&f, "lying", archive(&[lying])).await, CodeRefusal::Corrupt { .. }));
    let claims = Raw { size: u32::MAX - 1, ..deflated("a", "1") };
    assert_eq!(refusal(&f, "claiming", archive(&[claims])).await, too_large);
    let mut wide = deflated("a", "1");
    wide.extra = [&[1, 0, 8, 0][..], &u64::MAX.to_le_bytes()].concat();
    wide.size = u32::MAX;
    let two = [wide.clone(), Raw { name: b"b".to_vec(), ..wide }];
    assert_eq!(refusal(&f, "claiming all there is, twice", archive(&two)).await, too_large);
}

#[tokio::test]
async fn too_many_entries_are_refused_however_they_come() {
    let limits = Limits { entries_max: 100, ..Limits::default() };
    let f = limited(limits);
    let too_many = CodeRefusal::TooManyEntries { max: 100 };
    let flat: Vec<_> = (0..101).map(|n| file(format!("{n}"), "")).collect();
    assert_eq!(refusal(&f, "listed", archive(&flat)).await, too_many);
    let deep: Vec<_> = (0..10).map(|n| file(format!("{n}/{}f", "d/".repeat(20)), "")).collect();
    assert_eq!(refusal(&f, "implied", archive(&deep)).await, too_many);
    let same: Vec<_> = (0..101).map(|_| directory("d/")).chain([file("f", "")]).collect();
    assert_eq!(refusal(&f, "the same directory again and again", archive(&same)).await, too_many);
    let default = fixture();
    let flood: Vec<_> = (0..200_000).map(|n| file(format!("{n}"), "")).collect();
    let refused = refusal(&default, "a flood", zip64(&flood)).await;
    assert!(matches!(refused, CodeRefusal::TooManyEntries { .. }), "{refused:?}");
}

#[tokio::test]
async fn an_archive_without_files_is_empty() {
    let f = fixture();
    assert_eq!(refusal(&f, "nothing", archive(&[])).await, CodeRefusal::Empty);
    assert_eq!(refusal(&f, "directories", archive(&[directory("a/b/")])).await, CodeRefusal::Empty);
}

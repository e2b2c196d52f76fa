#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Full text over REST: what is found and what is not, page by page, what may
# not be read, hostile queries, and an index that is switched off.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test::Storage;


sub escape { return $_[0] =~ s/([^A-Za-z0-9_.-])/sprintf '%%%02X', ord $1/ger }


# The answer of a search that waits for the index.

sub search {
    my ($node, $ns, $q, %opt) = @_;

    my $more = delete $opt{more} // '';

    return $node->get("search/$ns?wait=20&q=" . escape($q) . $more, %opt);
}


# Keys of the hits, as one text.

sub found {
    my $reply = search(@_);

    return $reply->status if $reply->status != 200;

    return join ' ', map { "$_->{kind}:$_->{key}" } @{ $reply->json->{hits} };
}


sub put {
    my ($node, $path, $type, $text) = @_;

    my $reply = $node->request('PUT', $path, body => $text,
                               headers => { 'Content-Type' => $type });

    like($reply->status, qr/^20[014]$/, "$path is stored") or diag $reply->raw;

    return;
}


for my $adapter (Mesh::Test::Storage->adapters) {
    subtest $adapter => sub {
        my $node = Mesh::Test::Storage->new(adapter => $adapter)->start;

        check_words($node);
        check_pages($node);
        check_access($node);
        check_hostile($node);

        $node->stop;
    };
}

check_off();

done_testing;


sub check_words {
    my ($node) = @_;

    put($node, 'kv/n/plain', 'text/plain', 'The quick brown fox');
    put($node, 'kv/n/json', 'application/json',
        '{"fox":"hare","list":["caf\u00e9 noir",{"x":"brown bear"}]}');
    put($node, 'kv/n/bytes', 'application/octet-stream', 'fox');
    put($node, 'kv/n/broken', 'application/json', '{"fox":');
    put($node, 'kv/n/latin', 'text/plain', "fox \xe9");
    put($node, 'kv/other/plain', 'text/plain', 'another fox');

    my $reply = search($node, 'n', 'fox');

    is($reply->status, 200, 'a word is looked for');
    is(scalar @{ $reply->json->{hits} }, 1, 'and found once: not in keys of '
       . 'JSON, nor in bytes, nor in another namespace');

    my $hit = $reply->json->{hits}[0];
    my $etag = $node->get('kv/n/plain')->header('ETag');

    is($hit->{key}, 'plain', 'a hit says where');
    is($hit->{kind}, 'kv', 'of what kind');
    is($hit->{etag}, $etag, 'with the ETag that the item has');
    is($hit->{snippet}, 'The quick brown fox', 'and shows the place');
    like($hit->{at}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, 'and when');
    like($reply->json->{position}, qr/^[0-9a-f]{16}\.\d+$/,
         'the answer says what the index has reached');

    is(found($node, 'n', 'BROWN'), 'kv:json kv:plain',
       'case does not count, newest come first');
    is(found($node, 'n', 'cafe'), 'kv:json', 'nor do accents');
    is(found($node, 'n', '"quick brown"'), 'kv:plain', 'a phrase is found');
    is(found($node, 'n', '"noir brown"'), '',
       'but not over two strings of JSON');
    is(found($node, 'n', 'brown -fox'), 'kv:json', 'a word may be excluded');
    is(found($node, 'n', 'qui* bro*'), 'kv:plain', 'words may be left open');
    is(found($node, 'n', 'brown', more => '&prefix=j'), 'kv:json',
       'only under a prefix');
    is(found($node, 'n', 'brown', more => '&in=docs'), '', 'only of a kind');
    is(found($node, 'empty', 'fox'), '', 'nothing is found in nothing');

    put($node, 'kv/n/plain', 'text/plain', 'A slow badger');

    is(found($node, 'n', 'fox'), '', 'what was written over is not found');
    is(found($node, 'n', 'badger'), 'kv:plain', 'what it became is');

    is($node->request('DELETE', 'kv/n/plain')->status, 204, 'it is deleted');
    is(found($node, 'n', 'badger'), '', 'and is not found any more');

    my $long = 'lead ' x 400 . 'needle ' . 'tail ' x 400;

    put($node, 'kv/n/long', 'text/plain', "<b>$long</b>");
    $reply = search($node, 'n', 'needle');

    like($reply->json->{hits}[0]{snippet},
         qr/^\x{2026}lead .*needle.* tail.*\x{2026}$/,
         'a snippet is around the word');
    cmp_ok(length($reply->json->{hits}[0]{snippet}), '<=', 240,
           'and short');

    my $reply2 = $node->request('PUT', 'kv/n/brief', body => 'ephemeral',
        headers => { 'Content-Type' => 'text/plain',
                     'Expires-After' => '1' });

    like($reply2->status, qr/^20[014]$/, 'a key for a second is stored');
    ok($node->wait_for(sub { found($node, 'n', 'ephemeral') eq '' }),
       'and leaves the hits in time');

    return;
}


sub check_pages {
    my ($node) = @_;

    put($node, "kv/pages/k$_", 'text/plain', "page number $_") for 1 .. 25;

    my $reply = search($node, 'pages', 'page', more => '&limit=10');

    is(join(' ', map { $_->{key} } @{ $reply->json->{hits} }),
       join(' ', map { "k$_" } reverse 16 .. 25),
       'a page has the newest hits');

    my $next = $reply->json->{next};

    ok($next, 'and leads to the next');
    like($reply->header('Link') // '', qr/q=page&.*cursor=.*rel="next"/,
         'by a link too');

    put($node, 'kv/pages/k26', 'text/plain', 'page number 26');

    $reply = search($node, 'pages', 'page', more => "&limit=10&cursor=$next");
    is(join(' ', map { $_->{key} } @{ $reply->json->{hits} }),
       join(' ', map { "k$_" } reverse 6 .. 15),
       'which goes on there, whatever came meanwhile');

    $next = $reply->json->{next};
    $reply = search($node, 'pages', 'page', more => "&limit=10&cursor=$next");

    is(scalar @{ $reply->json->{hits} }, 5, 'down to the oldest');
    is($reply->json->{next}, undef, 'which is the end');

    is(search($node, 'pages', 'number', more => "&cursor=$next")->status, 400,
       'a cursor goes with its words');
    is(search($node, 'n', 'page', more => "&cursor=$next")->status, 400,
       'and its namespace');

    return;
}


sub check_access {
    my ($node) = @_;

    put($node, 'kv/shared/public/a', 'text/plain', 'secret plan');
    put($node, 'kv/shared/private/b', 'text/plain', 'secret plan');

    my $all = $node->token(name => 'reader', ns => 'shared', can => ['read']);
    my $some = $node->token(name => 'guest', ns => 'shared', can => ['read'],
                            key_prefix => 'public/');
    my $kv = $node->token(name => 'kvonly', ns => 'shared', can => ['read'],
                          kind => 'kv');
    my $else = $node->token(name => 'other', ns => 'elsewhere');
    my $write = $node->token(name => 'writer', ns => 'shared',
                             can => ['write']);

    is(found($node, 'shared', 'secret', token => $all),
       'kv:private/b kv:public/a', 'who may read all finds all');
    is(found($node, 'shared', 'secret', token => $some), 404,
       'who may read a part sees no namespace');
    is(found($node, 'shared', 'secret', token => $some,
             more => '&prefix=public/'), 'kv:public/a',
       'but finds that part');
    is(found($node, 'shared', 'secret', token => $some,
             more => '&prefix=p'), 404, 'and no wider');
    is(found($node, 'shared', 'secret', token => $kv),
       'kv:private/b kv:public/a', 'who may read keys alone finds keys');
    is(found($node, 'shared', 'secret', token => $kv, more => '&in=docs'),
       404, 'and no documents');
    is(found($node, 'shared', 'secret', token => $else), 404,
       'a stranger finds nothing here');
    is(found($node, 'shared', 'secret', token => $write), 404,
       'nor does who may only write');
    is($node->get('search/shared?q=secret', token => undef)->status, 401,
       'nor does who says nothing');

    return;
}


sub check_hostile {
    my ($node) = @_;

    put($node, 'kv/h/a', 'text/plain', 'alpha beta NEAR text OR AND NOT');

    my %refused = (
        ''                    => 'nothing',
        '   '                 => 'blanks',
        '*'                   => 'a star',
        '"'                   => 'a quote',
        '"alpha'              => 'a phrase without its end',
        '-alpha'              => 'only what must not be there',
        '()'                  => 'brackets',
        "alpha\0beta"         => 'a zero byte',
        "alpha\nbeta"         => 'a line end',
        "\xff\xfe"            => 'no UTF-8',
        'x' x 257             => 'too long a word',
        join(' ', 1 .. 17)    => 'too many words',
    );

    for my $q (sort keys %refused) {
        my $reply = search($node, 'h', $q);

        is($reply->status, 400, "$refused{$q} is refused");
        is($reply->json->{error}, 'bad-request', 'as a bad request');
    }

    is($node->get('search/h')->status, 400, 'no query at all too');
    is(search($node, 'h', join ' ', ('x') x 10_000)->status =~ /^4(00|14)$/,
       1, 'ten thousand words too');

    my %words = (
        'alpha OR beta'        => 'kv:a',
        'alpha AND beta'       => 'kv:a',
        'alpha OR gamma'       => '',
        'text:alpha'           => '',
        'alpha NEAR(beta)'     => '',
        'NEAR(alpha beta, 5)'  => '',
        '^alpha'               => 'kv:a',
        '{text} : alpha'       => 'kv:a',
        "alpha' OR '1'='1"     => '',
        'alpha"beta"'          => 'kv:a',
        'alpha) OR (beta'      => 'kv:a',
        'alpha + beta'         => 'kv:a',
        'al**'                 => 'kv:a',
        'rank MATCH alpha'     => '',
        'alpha;DROP TABLE doc' => '',
    );

    for my $q (sort keys %words) {
        is(found($node, 'h', $q), $words{$q}, "$q: nothing but words");
    }

    is(search($node, 'h', 'alpha', more => '&limit=101')->status, 400,
       'a page has a limit');
    is(search($node, 'h', 'alpha', more => '&in=messages')->status, 400,
       'messages are not here');
    is(search($node, 'h', 'alpha', more => '&cursor=AAAA')->status, 400,
       'a made up cursor is refused');
    is($node->request('POST', 'search/h?q=alpha')->status, 405,
       'nothing is posted to a search');
    is($node->get('search/h/more?q=alpha')->status, 404,
       'nothing is below it');

    return;
}


sub check_off {
    my $node = Mesh::Test::Storage->new(
        directives => { mesh_storage_search => 'off' })->start;

    my $reply = $node->get('search/n?q=fox');

    is($reply->status, 501, 'without an index there is no search');
    is($reply->json->{error}, 'unsupported', 'as the problem says');
    is($reply->json->{capability}, 'fts', 'and names what is missing');

    $node->stop;

    return;
}

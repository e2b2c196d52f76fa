#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Bodies of blobs arrive by every way of HTTP, slowly or not at all; what is
# too much for the limit, the quota or the disk leaves nothing behind.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use Test::More;
use Time::HiRes ();

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;

my $bytes = join '', map { sha256_hex("limits $_") } 1 .. 50_000;   # 3.2 MB


sub chunked {
    my ($text, $size) = @_;

    return join('', map { sprintf("%x\r\n%s\r\n", length, $_) }
                    unpack "(a$size)*", $text) . "0\r\n\r\n";
}


# kB of memory of all workers

sub memory {
    my ($node) = @_;

    my $sum = 0;

    for my $pid ($node->workers) {
        my ($kb) = Mesh::Test::slurp("/proc/$pid/status")
                   =~ /^VmRSS:\s+(\d+)/m;
        $sum += $kb;
    }

    return $sum;
}


for my $adapter (Mesh::Test::Storage->adapters) {
    my $node = Mesh::Test::Storage->new(
        adapter  => $adapter,
        location => 'mesh_storage_blob_size 4m;
                     mesh_storage_quota items=100 bytes=8m;',
        conf     => 'server {
            listen 127.0.0.1:%%PORT2%% http2;
            location /api/storage { ucan on; mesh_storage_api on;
                                    mesh_storage_blob_size 4m; } }',
    )->start;

    my $folder = $node->data . '/blobs';
    my $no_temp = sub {
        $node->wait_for(sub { !grep { -e } glob "$folder/tmp/*" }, 20,
                        'the end of temporary files');
        return 1;
    };
    my $is_there = sub {
        my $get = $node->get("blobs/n/$_[0]");
        return $get->status == 200 && $get->body eq $_[1];
    };


    # chunks, of any size

    for my $size (1000, 300_000, 65536) {
        my $text = substr $bytes, 0, 700_000;

        is($node->put("blobs/n/chunks/$size", chunked($text, $size),
               headers => { 'Transfer-Encoding' => 'chunked' })->status, 201,
           "$adapter: chunks of $size bytes are taken");
        ok($is_there->("chunks/$size", $text), 'and are the blob');
    }

    is($node->put('blobs/n/none', "0\r\n\r\n",
           headers => { 'Transfer-Encoding' => 'chunked' })->status, 201,
       'also none');

    my $over = $node->put('blobs/n/over', chunked($bytes x 2, 60_000),
                          headers => { 'Transfer-Encoding' => 'chunked' });

    is($over->status, 413, "$adapter: chunks beyond the limit are refused");
    is($over->json->{limit}, 4 * 1024 * 1024, 'and the limit told');
    ok($no_temp->(), 'nothing of them is left');
    is($node->put('blobs/n/bad', "zz\r\n",
           headers => { 'Transfer-Encoding' => 'chunked' })->status, 400,
       'what are no chunks is refused');


    # "100 Continue" is for those that may go on

    my $expect = sub {
        my ($length, @more) = @_;

        return $node->begin(PUT => 'blobs/n/expect', headers => [
            Expect => '100-continue', 'Content-Length' => $length, @more ]);
    };

    my $go = $expect->(100_000);

    $node->wait_for(sub { $go->read; $go->{received} =~ m{^HTTP/1.1 100} },
                    20, '100 Continue');
    $go->write(substr $bytes, 0, 100_000);
    $node->wait_for(sub { $go->read; $go->{received} =~ m{ 201 } }, 20,
                    'the answer');
    ok($is_there->('expect', substr $bytes, 0, 100_000),
       "$adapter: who asks first is told to go on");
    is($expect->(5 * 1024 * 1024)->reply->status, 413,
       'not when it is too much');
    is($expect->(100_000, 'If-None-Match' => '*')->reply->status, 412,
       'nor when a condition does not hold');


    # one byte at a time, and never to the end

    my $slow = $node->begin(PUT => 'blobs/n/slow',
                            headers => [ 'Content-Length' => 300_000 ]);

    $slow->write($_) for map { substr $bytes, $_, 1 } 0 .. 99;
    $slow->write(substr $bytes, 100, 299_900);
    is($slow->reply->status, 201, "$adapter: a slow client is waited for");
    ok($is_there->('slow', substr $bytes, 0, 300_000), 'and gets its blob');

    my $gone = $node->begin(PUT => 'blobs/n/gone', body => $bytes,
                            headers => [ 'Content-Length' => 4_000_000 ]);

    $node->wait_for(sub { grep { -s } glob "$folder/tmp/*" }, 20,
                    'bytes of a client');
    close $gone->{socket};
    ok($no_temp->(), 'of one that leaves nothing is kept');
    is($node->get('blobs/n/gone')->status, 404, 'neither a blob');


    # HTTP/2

    SKIP: {
        my ($rc, $out) = Mesh::Test::run([ 'curl', '--version' ]);

        skip 'no curl with HTTP/2', 3 unless $rc == 0 && $out =~ /HTTP2/;

        $node->write_file('body', $bytes);

        my @curl = ('curl', '-s', '--http2-prior-knowledge', '-H',
                    'Authorization: Bearer ' . $node->owner_token,
                    'http://127.0.0.1:' . $node->port(2)
                    . '/api/storage/blobs/h2/blob');

        (undef, $out) = Mesh::Test::run([ @curl, '-w', '%{http_code}', '-T',
                                          $node->prefix . '/body' ]);
        is($out, 201, "$adapter: HTTP/2 brings a blob");

        (undef, $out) = Mesh::Test::run([ @curl ]);
        ok($out eq $bytes, 'and takes it');

        $node->write_file('body', $bytes x 2);

        # this curl may take the reset of the stream, which tells it to stop
        # sending, for the whole answer

        Mesh::Test::run([ @curl, '-T', $node->prefix . '/body' ]);
        ok($node->wait_for(
               sub { $node->access_log =~ m{h2/blob HTTP/2.0" 413} }, 20,
               'a refusal'), 'too much is refused there too');
    }


    # the quota

    my $left = $node->put('blobs/q/a', $bytes);

    is($left->status, 201, "$adapter: a blob fits into the quota");
    is($node->put('blobs/q/b', $bytes)->status, 201, 'two do');

    my $full = $node->put('blobs/q/c', $bytes);

    is($full->status, 507, 'three do not');
    is($full->json->{error}, 'quota-exceeded', 'that is told');
    is($full->json->{limit}, 8 * 1024 * 1024, 'with the limit');
    cmp_ok($full->json->{used}, '>', 6_400_000, 'and what is used');

    my $said = $node->begin(PUT => 'blobs/q/c', headers => [
        Expect => '100-continue', 'Content-Length' => length $bytes ])->reply;

    is($said->status, 507, "$adapter: before a byte is sent, if it is asked");
    is($node->put('blobs/q/c', chunked($bytes, 60_000),
           headers => { 'Transfer-Encoding' => 'chunked' })->status, 507,
       'or at the end, when nobody knew');
    is($node->put('blobs/q/b', $bytes . 'x')->status, 204,
       'one in the place of another does');
    is($node->post('uploads/q', '', headers => [ 'Tus-Resumable' => '1.0.0',
           'Upload-Length' => length $bytes,
           'Upload-Metadata' => 'filename YQ==' ])->status, 507,
       'an upload is charged when it begins');
    is($node->del('blobs/q/b')->status, 204, 'when one goes');
    is($node->put('blobs/q/c', $bytes)->status, 201, 'another fits');


    # memory: what comes fast and is not read, or comes at once

    my $before = memory($node);
    my @many = map {
        $node->begin(PUT => "blobs/m/$_",
                     body => substr($bytes, 0, 3_000_000),
                     headers => [ 'Content-Length' => 4_000_000 ]) } 1 .. 10;

    $node->wait_for(
        sub { 10 == grep { -s > 2_000_000 } glob "$folder/tmp/*" }, 30,
        'ten slow bodies');
    cmp_ok(memory($node) - $before, '<', 10 * 1024,
           "$adapter: ten bodies of 3 MB at work need less than 1 MB each");
    close $_->{socket} for @many;
    ok($no_temp->(), 'and leave nothing');
}

done_testing();
